// The EndpointSlices that mirror hand-written Endpoints, so that whoever reads slices sees them too. Pure;
// pkg/controller/endpointslicemirroring (1.36).

import { isIP } from 'node:net'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { managedByLabel, type SlicePlan, serviceLabel } from './endpoint-plan.ts'
import { semanticallyEqual } from './equality.ts'
import { controllerReference } from './ownership.ts'

export const mirrorManager = 'endpointslicemirroring-controller.k8s.io'
const maxPerSubset = 1000
const skipMirror = 'endpointslice.kubernetes.io/skip-mirror'
const leaderAnnotation = 'control-plane.alpha.kubernetes.io/leader'
const unmirrored = [
  'endpoints.kubernetes.io/last-change-trigger-time',
  'kubectl.kubernetes.io/last-applied-configuration',
]

export interface MirrorPlan extends SlicePlan {
  /** Addresses that are none, and those for which there was no room. */
  invalid: number
  skipped: number
}

export const isMirrored = (endpoints: StoredObject, service: StoredObject | undefined): boolean =>
  service !== undefined &&
  Object.keys(service.spec?.selector ?? {}).length === 0 &&
  endpoints.metadata.labels?.[skipMirror] !== 'true' &&
  endpoints.metadata.annotations?.[leaderAnnotation] === undefined

type AddressType = 'IPv4' | 'IPv6'

interface Group {
  addressType: AddressType
  ports: Record<string, unknown>[]
  /** By address: the same one twice is one endpoint. */
  endpoints: Map<string, Record<string, unknown>>
}

const groupKey = (addressType: string, ports: any[]): string =>
  `${addressType} ${JSON.stringify(
    ports
      .map(({ name = '', port, protocol = 'TCP', appProtocol = '' }) => [name, port, protocol, appProtocol])
      .sort((a, b) => (String(a) < String(b) ? -1 : 1)),
  )}`

const slicePorts = (ports: any[]): Record<string, unknown>[] =>
  ports.map(({ name = '', port, protocol = 'TCP', appProtocol }) => ({
    name,
    port,
    protocol,
    ...(appProtocol && { appProtocol }),
  }))

const endpointOf = (address: any, ready: boolean): Record<string, unknown> => ({
  addresses: [address.ip],
  conditions: { ready },
  ...(address.hostname && { hostname: address.hostname }),
  ...(address.targetRef && { targetRef: address.targetRef }),
  ...(address.nodeName && { nodeName: address.nodeName }),
})

function groupsOf(endpoints: StoredObject): { groups: Map<string, Group>; invalid: number; skipped: number } {
  const groups = new Map<string, Group>()
  let invalid = 0
  let skipped = 0
  for (const subset of endpoints.subsets ?? []) {
    let added = 0
    const all = [
      ...(subset.addresses ?? []).map((address: any) => endpointOf(address, true)),
      ...(subset.notReadyAddresses ?? []).map((address: any) => endpointOf(address, false)),
    ]
    for (const endpoint of all) {
      const ip = (endpoint.addresses as string[])[0] ?? ''
      const family = isIP(ip)
      if (family === 0) invalid++
      else if (added >= maxPerSubset) skipped++
      else {
        added++
        const addressType = family === 6 ? 'IPv6' : 'IPv4'
        const key = groupKey(addressType, subset.ports ?? [])
        const group = groups.get(key) ?? { addressType, ports: slicePorts(subset.ports ?? []), endpoints: new Map() }
        groups.set(key, group)
        if (!group.endpoints.has(ip)) group.endpoints.set(ip, endpoint)
      }
    }
  }
  return { groups, invalid, skipped }
}

/** Annotations and labels as the mirror has them. */
function metadataOf(endpoints: StoredObject) {
  const annotations = { ...endpoints.metadata.annotations }
  for (const name of unmirrored) delete annotations[name]
  const labels = {
    ...endpoints.metadata.labels,
    [serviceLabel]: endpoints.metadata.name,
    [managedByLabel]: mirrorManager,
  }
  return { annotations, labels, ownerReferences: [controllerReference(endpoints)] }
}

export function planMirror(endpoints: StoredObject, existing: StoredObject[]): MirrorPlan {
  const { groups, invalid, skipped } = groupsOf(endpoints)
  const plan: MirrorPlan = { create: [], update: [], delete: [], invalid, skipped }
  const metadata = metadataOf(endpoints)
  for (const slice of existing) {
    const key = groupKey(slice.addressType, slice.ports ?? [])
    const group = groups.get(key)
    if (!group) {
      plan.delete.push(slice)
      continue
    }
    // One slice for each group: a second one with the same ports is one too many.
    groups.delete(key)
    const wanted = sliceOf(endpoints, group, metadata, slice)
    if (!isSame(slice, wanted)) plan.update.push(wanted as StoredObject)
  }
  for (const group of groups.values()) plan.create.push(sliceOf(endpoints, group, metadata, undefined))
  return plan
}

const isSame = (slice: StoredObject, wanted: ApiObject): boolean =>
  semanticallyEqual(slice.endpoints, wanted.endpoints) &&
  semanticallyEqual(slice.metadata.labels, wanted.metadata.labels) &&
  semanticallyEqual(slice.metadata.annotations, wanted.metadata.annotations) &&
  semanticallyEqual(slice.metadata.ownerReferences, wanted.metadata.ownerReferences)

const sliceOf = (
  endpoints: StoredObject,
  group: Group,
  metadata: ReturnType<typeof metadataOf>,
  slice: StoredObject | undefined,
): ApiObject => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: slice
    ? { ...slice.metadata, ...metadata }
    : { generateName: `${endpoints.metadata.name}-`, namespace: endpoints.metadata.namespace!, ...metadata },
  addressType: group.addressType,
  endpoints: [...group.endpoints.values()],
  ports: group.ports,
})
