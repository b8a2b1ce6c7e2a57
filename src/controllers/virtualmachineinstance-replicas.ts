// VirtualMachineInstanceReplicaSet: keeps the wanted number of instances; one that has ended is replaced
// (pkg/virt-controller/watch/replicaset, KubeVirt 1.9).

import { isApiError } from '../api/errors.ts'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { selectorMatcher } from '../api/selector.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import {
  type ControllerContext,
  type ControllerDefinition,
  controllerOfKind,
  itself,
  reconcileOn,
} from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { claimObjects, controllerReference } from './ownership.ts'
import { isNamespaceTerminating } from './pod-control.ts'
import { isFinished, isReady } from './pod-state.ts'
import { type Failure, replicasStatus } from './pool.ts'
import { virtualMachineInstanceReplicaSets, virtualMachineInstances } from './resources.ts'

const burst = 10

/** What to make and what to remove. Pure. */
export function planInstances(
  set: StoredObject,
  instances: StoredObject[],
): { create: number; delete: StoredObject[] } {
  if (set.spec.paused) return { create: 0, delete: [] }
  const staying = instances.filter((instance) => !instance.metadata.deletionTimestamp)
  const ended = staying.filter(isFinished)
  const active = staying.filter((instance) => !isFinished(instance))
  const surplus = active.length - (set.spec.replicas ?? 1)
  // Those that are not ready go first, then the youngest.
  const order = (a: StoredObject, b: StoredObject) =>
    Number(isReady(a)) - Number(isReady(b)) ||
    b.metadata.creationTimestamp!.localeCompare(a.metadata.creationTimestamp!)
  const leaving = surplus > 0 ? active.toSorted(order).slice(0, Math.min(surplus, burst)) : []
  return { create: Math.min(Math.max(-surplus, 0), burst), delete: [...ended, ...leaving] }
}

export function instanceOfSet(set: StoredObject): ApiObject {
  const { metadata, spec } = set.spec.template
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: {
      name: '',
      generateName: set.metadata.name,
      namespace: set.metadata.namespace!,
      ...(metadata?.labels && { labels: metadata.labels }),
      ...(metadata?.annotations && { annotations: metadata.annotations }),
      ownerReferences: [controllerReference(set)],
    },
    spec,
  }
}

export const virtualMachineInstanceReplicaSet: ControllerDefinition = {
  name: 'virtualmachineinstancereplicaset',
  start(context) {
    const watched = [
      { ref: virtualMachineInstanceReplicaSets, keys: itself },
      { ref: virtualMachineInstances, keys: controllerOfKind('VirtualMachineInstanceReplicaSet') },
    ]
    return reconcileOn(context, 'virtualmachineinstancereplicaset', watched, createSync(context))
  },
}

function createSync(context: ControllerContext) {
  const { client, informers, clock } = context
  const record = context.recorder('virtualmachineinstancereplicaset-controller')
  const sets = informers.informer(virtualMachineInstanceReplicaSets)
  const instanceInformer = informers.informer(virtualMachineInstances)

  async function remove(set: StoredObject, instance: StoredObject): Promise<void> {
    const { name, namespace, uid } = instance.metadata
    try {
      await client.delete(virtualMachineInstances, name, namespace, { preconditions: { uid } })
      record(set, 'Normal', 'SuccessfulDelete', `Deleted virtual machine: ${name}`)
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error
    }
  }

  async function act(
    set: StoredObject,
    instances: StoredObject[],
  ): Promise<(Failure & { error: unknown }) | undefined> {
    const plan = planInstances(set, instances)
    try {
      for (let made = 0; made < plan.create; made++) {
        const { name } = (await client.create(virtualMachineInstances, instanceOfSet(set))).metadata
        record(
          set,
          'Normal',
          'SuccessfulCreate',
          `Started the virtual machine by creating the new virtual machine instance ${name}`,
        )
      }
      for (const instance of plan.delete) await remove(set, instance)
      return undefined
    } catch (error) {
      if (isNamespaceTerminating(error)) return undefined
      return { reason: plan.create ? 'FailedCreate' : 'FailedDelete', message: (error as Error).message, error }
    }
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    const set = sets.get(key)
    if (!set) return undefined
    const { matches } = selectorMatcher(set.spec.selector)
    const owner = { ref: virtualMachineInstanceReplicaSets, object: set }
    const candidates = instanceInformer.list(set.metadata.namespace)
    const instances = await claimObjects(client, owner, virtualMachineInstances, candidates, (instance) =>
      matches(instance.metadata.labels),
    )
    const failure = set.metadata.deletionTimestamp ? undefined : await act(set, instances)
    const active = instances.filter((one) => !one.metadata.deletionTimestamp && !isFinished(one))
    const shown = failure && { reason: failure.reason, message: failure.message }
    const status = replicasStatus(set, active.length, active.filter(isReady).length, shown, clock.now())
    if (!semanticallyEqual(status, set.status))
      await client.updateStatus(virtualMachineInstanceReplicaSets, { ...set, status })
    if (failure) throw failure.error
    return undefined
  }
}
