// Endpoints and EndpointSlices of every Service with a selector, for Pods and virtual machines alike.

import { isApiError } from '../api/errors.ts'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { objectKey } from '../api/meta.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { type ControllerContext, type ControllerDefinition, itself, reconcileOn, type Watched } from './controller.ts'
import { createPace } from './endpoint-pace.ts'
import {
  backends,
  endpointsManagedBy,
  endpointsObject,
  isSelected,
  managedByLabel,
  overCapacity,
  planSlices,
  serviceLabel,
  sliceManager,
} from './endpoint-plan.ts'
import { semanticallyEqual } from './equality.ts'
import { isNamespaceTerminating } from './pod-control.ts'
import { endpointSlices, endpoints, nodes, pods, services, virtualMachineInstances } from './resources.ts'

/** Workloads concern the Services that select them. */
function watchedWorkloads(context: ControllerContext): Watched[] {
  const informer = context.informers.informer(services)
  const keys = (workload: StoredObject) =>
    informer
      .list(workload.metadata.namespace)
      .filter((service) => hasSelector(service) && isSelected(service, workload))
      .flatMap(itself)
  return [
    { ref: services, keys: itself },
    { ref: pods, keys },
    { ref: virtualMachineInstances, keys },
  ]
}

const hasSelector = (service: StoredObject): boolean =>
  Object.keys(service.spec.selector ?? {}).length > 0 && service.spec.type !== 'ExternalName'

const zoneLabel = 'topology.kubernetes.io/zone'
const zonesOf =
  ({ informers }: ControllerContext) =>
  (nodeName: string): string | undefined =>
    informers.informer(nodes).get(nodeName)?.metadata.labels?.[zoneLabel]

const workloadsOf = ({ informers }: ControllerContext, namespace: string | undefined): StoredObject[] => [
  ...informers.informer(pods).list(namespace),
  ...informers.informer(virtualMachineInstances).list(namespace),
]

export const endpointSlice: ControllerDefinition = {
  name: 'endpointslice',
  start(context) {
    const { client, informers } = context
    const known = informers.informer(services)
    const slices = informers.informer(endpointSlices)
    const pace = createPace(context.clock)
    slices.addIndex('service', ({ metadata }) =>
      metadata.labels?.[managedByLabel] === sliceManager && metadata.labels[serviceLabel]
        ? [`${metadata.namespace}/${metadata.labels[serviceLabel]}`]
        : [],
    )
    async function remove(slice: StoredObject): Promise<void> {
      const { name, namespace, uid } = slice.metadata
      await client.delete(endpointSlices, name, namespace, { preconditions: { uid } }).catch((error) => {
        if (!isApiError(error, 'NotFound')) throw error
      })
    }
    async function sync(key: string): Promise<ReconcileResult | undefined> {
      const service = known.get(key)
      const existing = slices.byIndex('service', key)
      if (!service || !hasSelector(service)) {
        pace.forget(key)
        await Promise.all(existing.map(remove))
        return undefined
      }
      if (service.metadata.deletionTimestamp) return undefined
      const wait = pace.tooSoon(key)
      if (wait) return wait
      const found = backends(service, workloadsOf(context, service.metadata.namespace), zonesOf(context))
      pace.worked(key, found.length)
      const plan = planSlices(service, found, existing)
      for (const slice of plan.update) await client.update(endpointSlices, slice)
      for (const slice of plan.create)
        await client.create(endpointSlices, slice).catch((error) => {
          if (!isNamespaceTerminating(error)) throw error
        })
      for (const slice of plan.delete) await remove(slice)
      return undefined
    }
    const ofService = ({ metadata }: StoredObject) =>
      metadata.labels?.[managedByLabel] === sliceManager && metadata.labels[serviceLabel]
        ? [`${metadata.namespace}/${metadata.labels[serviceLabel]}`]
        : []
    const watched = [...watchedWorkloads(context), { ref: endpointSlices, keys: ofService }]
    return reconcileOn(context, 'endpointslice', watched, sync)
  },
}

export const endpoint: ControllerDefinition = {
  name: 'endpoints',
  start(context) {
    const { client, informers } = context
    const known = informers.informer(services)
    const existing = informers.informer(endpoints)
    /** Services that were deleted while we watched. */
    const orphaned = new Set<string>()
    const pace = createPace(context.clock)
    async function sync(key: string): Promise<ReconcileResult | undefined> {
      const service = known.get(key)
      const current = existing.get(key)
      if (!service) {
        // Hand-written ones go with their Service, too; those that never had one are somebody else's.
        const isOurs = current?.metadata.labels?.[endpointsManagedBy] === 'endpoint-controller'
        if (current && (isOurs || orphaned.has(key))) await remove(current)
        orphaned.delete(key)
        pace.forget(key)
        return undefined
      }
      orphaned.delete(key)
      if (!hasSelector(service) || service.metadata.deletionTimestamp) return undefined
      const wait = pace.tooSoon(key)
      if (wait) return wait
      const found = backends(service, workloadsOf(context, service.metadata.namespace))
      pace.worked(key, found.length)
      const wanted = endpointsObject(service, found)
      try {
        if (!current) await client.create(endpoints, wanted)
        else if (!isCurrent(current, wanted))
          await client.update(endpoints, {
            ...wanted,
            metadata: {
              ...current.metadata,
              labels: wanted.metadata.labels!,
              annotations: annotationsOf(current, wanted),
            },
          })
      } catch (error) {
        if (!isNamespaceTerminating(error)) throw error
      }
      return undefined
    }
    known.addHandler({ changed: () => {}, removed: (service) => void orphaned.add(objectKey(service)) })
    async function remove({ metadata }: StoredObject): Promise<void> {
      const { name, namespace, uid } = metadata
      await client.delete(endpoints, name, namespace, { preconditions: { uid } }).catch((error) => {
        if (!isApiError(error, 'NotFound')) throw error
      })
    }
    return reconcileOn(context, 'endpoints', [...watchedWorkloads(context), { ref: endpoints, keys: itself }], sync)
  },
}

/** Annotations of others stay. */
function annotationsOf(current: StoredObject, wanted: ApiObject): Record<string, string> {
  const { [overCapacity]: _old, ...others } = current.metadata.annotations ?? {}
  return { ...others, ...wanted.metadata.annotations }
}

const isCurrent = (current: StoredObject, wanted: ApiObject): boolean =>
  semanticallyEqual(current.subsets, wanted.subsets) &&
  semanticallyEqual(current.metadata.labels, wanted.metadata.labels) &&
  semanticallyEqual(current.metadata.annotations, annotationsOf(current, wanted))
