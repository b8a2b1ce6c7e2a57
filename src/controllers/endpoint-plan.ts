// Which addresses stand behind a Service: Pods and virtual machine instances that its selector matches, as EndpointSlices
// and as Endpoints. Pure; pkg/controller/endpointslice and pkg/controller/endpoint (1.36).

import type { ApiObject, StoredObject } from '../api/meta.ts'
import { labelsMatcher } from '../api/selector.ts'
import { workloadLabels } from '../kinds/kubevirt/launcher-pod.ts'
import { semanticallyEqual } from './equality.ts'
import { controllerReference } from './ownership.ts'
import { isFinished, isReady } from './pod-state.ts'

export const serviceLabel = 'kubernetes.io/service-name'
export const managedByLabel = 'endpointslice.kubernetes.io/managed-by'
export const sliceManager = 'endpointslice-controller.k8s.io'
const headlessLabel = 'service.kubernetes.io/headless'
/** Said of an Endpoints object that does not hold all addresses. */
export const overCapacity = 'endpoints.kubernetes.io/over-capacity'
export const endpointsManagedBy = 'endpoints.kubernetes.io/managed-by'
export const maxPerSlice = 100
const maxPerEndpoints = 1000

export interface EndpointPort {
  name: string
  port: number
  protocol: string
  appProtocol?: string
}

/** One workload as an address; the same for Pods and machines. */
export interface Backend {
  address: string
  ready: boolean
  serving: boolean
  terminating: boolean
  ports: EndpointPort[]
  nodeName?: string
  zone?: string
  hostname?: string
  target: { kind: string; namespace: string; name: string; uid: string }
}

/** The address of a workload, undefined while it has none. */
export const addressOf = (workload: StoredObject): string | undefined =>
  (workload.kind === 'Pod' ? workload.status?.podIP : workload.status?.interfaces?.[0]?.ipAddress) || undefined

/** The port number on this workload, undefined when it has no port of that name. */
function targetPort(workload: StoredObject, port: any): number | undefined {
  const target = port.targetPort ?? port.port
  if (typeof target === 'number') return target || port.port
  if (/^\d+$/.test(target)) return Number(target)
  const protocol = port.protocol ?? 'TCP'
  const isMatch = (each: any) => each.name === target && (each.protocol ?? 'TCP') === protocol
  if (workload.kind !== 'Pod') {
    // A machine names its ports on its interfaces, if at all.
    const interfaces: any[] = workload.spec.domain?.devices?.interfaces ?? []
    return interfaces.flatMap((each) => each.ports ?? []).find(isMatch)?.port
  }
  const sidecars = (workload.spec.initContainers ?? []).filter((each: any) => each.restartPolicy === 'Always')
  const containers: any[] = [...(workload.spec.containers ?? []), ...sidecars]
  return containers.flatMap((each) => each.ports ?? []).find(isMatch)?.containerPort
}

function portsOf(service: StoredObject, workload: StoredObject): EndpointPort[] {
  const ports: EndpointPort[] = []
  for (const port of service.spec.ports ?? []) {
    const number = targetPort(workload, port)
    if (number === undefined) continue
    ports.push({
      name: port.name ?? '',
      port: number,
      protocol: port.protocol ?? 'TCP',
      ...(port.appProtocol && { appProtocol: port.appProtocol }),
    })
  }
  return ports
}

export const isSelected = (service: StoredObject, workload: StoredObject): boolean =>
  labelsMatcher(service.spec.selector ?? {}).matches(workloadLabels(workload))

/** Everything behind the Service that has an address, in a stable order. */
export function backends(
  service: StoredObject,
  workloads: StoredObject[],
  zoneOf: (nodeName: string) => string | undefined = () => undefined,
): Backend[] {
  const found: Backend[] = []
  const selector = labelsMatcher(service.spec.selector ?? {})
  for (const workload of workloads) {
    const address = addressOf(workload)
    if (!address || isFinished(workload) || !selector.matches(workloadLabels(workload))) continue
    const serving = isReady(workload)
    const terminating = Boolean(workload.metadata.deletionTimestamp)
    const nodeName = workload.kind === 'Pod' ? workload.spec.nodeName : workload.status?.nodeName
    const zone = nodeName ? zoneOf(nodeName) : undefined
    const { hostname, subdomain } = workload.spec
    found.push({
      address,
      ready: Boolean(service.spec.publishNotReadyAddresses) || (serving && !terminating),
      serving,
      terminating,
      ports: portsOf(service, workload),
      ...(nodeName && { nodeName }),
      ...(zone && { zone }),
      ...(hostname && subdomain === service.metadata.name && { hostname }),
      target: {
        kind: workload.kind,
        namespace: workload.metadata.namespace!,
        name: workload.metadata.name,
        uid: workload.metadata.uid,
      },
    })
  }
  return found.sort((a, b) => (a.target.uid < b.target.uid ? -1 : 1))
}

const portsKey = (ports: any[] | undefined): string =>
  JSON.stringify(
    (ports ?? [])
      .map(({ name = '', port, protocol = 'TCP', appProtocol = '' }) => [name, port, protocol, appProtocol])
      .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
  )

const closeDistributions = ['PreferClose', 'PreferSameZone', 'PreferSameNode']

/** Who should prefer this endpoint (staging endpointslice/trafficdist). */
function hintsOf({ ready, zone, nodeName }: Backend, distribution: string | undefined) {
  if (!ready || !distribution || !closeDistributions.includes(distribution)) return undefined
  const hints = {
    ...(zone && { forZones: [{ name: zone }] }),
    ...(nodeName && distribution === 'PreferSameNode' && { forNodes: [{ name: nodeName }] }),
  }
  return Object.keys(hints).length > 0 ? hints : undefined
}

function sliceEndpoint(backend: Backend, distribution: string | undefined): Record<string, unknown> {
  const hints = hintsOf(backend, distribution)
  return {
    addresses: [backend.address],
    conditions: { ready: backend.ready, serving: backend.serving, terminating: backend.terminating },
    ...(backend.hostname && { hostname: backend.hostname }),
    targetRef: backend.target,
    ...(backend.nodeName && { nodeName: backend.nodeName }),
    ...(backend.zone && { zone: backend.zone }),
    ...(hints && { hints }),
  }
}

const isHeadless = (service: StoredObject): boolean => service.spec.clusterIP === 'None'

function sliceLabels(service: StoredObject): Record<string, string> {
  const labels = { ...service.metadata.labels }
  delete labels[headlessLabel]
  if (isHeadless(service)) labels[headlessLabel] = ''
  return { ...labels, [serviceLabel]: service.metadata.name, [managedByLabel]: sliceManager }
}

export interface SlicePlan {
  create: ApiObject[]
  update: StoredObject[]
  delete: StoredObject[]
}

/** Slices as they should be, with as few of the existing ones changed as possible. */
export function planSlices(service: StoredObject, found: Backend[], existing: StoredObject[]): SlicePlan {
  const plan: SlicePlan = { create: [], update: [], delete: [] }
  const groups = new Map<string, { ports: EndpointPort[]; backends: Backend[] }>()
  for (const backend of found) {
    // A workload that has none of the named ports is no endpoint, except of a headless Service.
    if (!backend.ports.length && !isHeadless(service)) continue
    const key = portsKey(backend.ports)
    const group = groups.get(key) ?? { ports: backend.ports, backends: [] }
    group.backends.push(backend)
    groups.set(key, group)
  }
  // An empty slice says that the Service is known and has nobody behind it.
  if (groups.size === 0) groups.set(portsKey([]), { ports: [], backends: [] })
  const slices = existing.filter((slice) => slice.metadata.deletionTimestamp === undefined)
  for (const [key, group] of groups) {
    const own = slices.filter((slice) => portsKey(slice.ports) === key && slice.addressType === 'IPv4')
    fillSlices(service, group, own, plan)
  }
  for (const slice of slices)
    if (!groups.has(portsKey(slice.ports)) || slice.addressType !== 'IPv4') plan.delete.push(slice)
  return plan
}

function fillSlices(
  service: StoredObject,
  group: { ports: EndpointPort[]; backends: Backend[] },
  own: StoredObject[],
  plan: SlicePlan,
): void {
  const { trafficDistribution } = service.spec
  const wanted = new Map(group.backends.map((backend) => [backend.target.uid, backend]))
  const kept = own.map((slice) => {
    const endpoints: unknown[] = []
    for (const endpoint of slice.endpoints ?? []) {
      const backend = wanted.get(endpoint.targetRef?.uid)
      if (!backend) continue
      wanted.delete(backend.target.uid)
      endpoints.push(sliceEndpoint(backend, trafficDistribution))
    }
    return { slice, endpoints }
  })
  const rest = [...wanted.values()].map((backend) => sliceEndpoint(backend, trafficDistribution))
  for (const { endpoints } of kept) endpoints.push(...rest.splice(0, Math.max(maxPerSlice - endpoints.length, 0)))
  const labels = sliceLabels(service)
  const filled = kept.filter(({ endpoints }) => endpoints.length)
  const isEmpty = !filled.length && !rest.length
  const stays = isEmpty ? kept.slice(0, 1) : filled
  for (const { slice } of kept) if (!stays.some((each) => each.slice === slice)) plan.delete.push(slice)
  for (const { slice, endpoints } of stays) {
    if (semanticallyEqual(slice.endpoints, endpoints) && semanticallyEqual(slice.metadata.labels, labels)) continue
    plan.update.push({ ...slice, metadata: { ...slice.metadata, labels }, endpoints })
  }
  while (rest.length || (isEmpty && !stays.length && !plan.create.length))
    plan.create.push(newSlice(service, group.ports, rest.splice(0, maxPerSlice), labels))
}

const newSlice = (
  service: StoredObject,
  ports: EndpointPort[],
  endpoints: unknown[],
  labels: Record<string, string>,
): ApiObject => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: {
    generateName: `${service.metadata.name}-`,
    namespace: service.metadata.namespace!,
    labels,
    ownerReferences: [controllerReference(service)],
  },
  addressType: 'IPv4',
  endpoints,
  ports,
})

/** The Endpoints object: addresses grouped by the ports that they have. */
export function endpointsObject(service: StoredObject, found: Backend[]): ApiObject {
  const subsets = new Map<string, { addresses: unknown[]; notReadyAddresses: unknown[]; ports: unknown[] }>()
  const listed = found.filter((backend) => !backend.terminating || service.spec.publishNotReadyAddresses)
  // What is ready goes first where there is not room for all.
  const first = listed.length > maxPerEndpoints ? listed.toSorted((a, b) => Number(b.ready) - Number(a.ready)) : listed
  for (const backend of first.slice(0, maxPerEndpoints)) {
    if (!backend.ports.length && !isHeadless(service)) continue
    const key = portsKey(backend.ports)
    const subset = subsets.get(key) ?? { addresses: [], notReadyAddresses: [], ports: backend.ports.map(corePort) }
    subsets.set(key, subset)
    const { address: ip, hostname, nodeName, target: targetRef } = backend
    const entry = { ip, ...(hostname && { hostname }), ...(nodeName && { nodeName }), targetRef }
    ;(backend.ready ? subset.addresses : subset.notReadyAddresses).push(entry)
  }
  const labels = { ...service.metadata.labels, [endpointsManagedBy]: 'endpoint-controller' }
  return {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: {
      name: service.metadata.name,
      namespace: service.metadata.namespace!,
      labels: isHeadless(service) ? { ...labels, [headlessLabel]: '' } : labels,
      ...(listed.length > maxPerEndpoints && { annotations: { [overCapacity]: 'truncated' } }),
    },
    subsets: [...subsets.values()].map(({ addresses, notReadyAddresses, ports }) => ({
      ...(addresses.length && { addresses }),
      ...(notReadyAddresses.length && { notReadyAddresses }),
      ...(ports.length && { ports }),
    })),
  }
}

const corePort = ({ name, ...port }: EndpointPort): unknown => ({ ...(name && { name }), ...port })
