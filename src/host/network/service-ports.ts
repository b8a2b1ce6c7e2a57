// From API objects to what the packet rules need: the ports of Services with the endpoints that should get traffic now,
// and the hostPorts of Pods (pure).

import type { StoredObject } from '../../api/meta.ts'
import { parseAddress, parseRange } from './addresses.ts'
import type { Endpoint, Protocol, ServicePort } from './ruleset.ts'

/** Label of an EndpointSlice that names its Service. */
export const serviceLabel = 'kubernetes.io/service-name'

interface SlicePort {
  name?: string
  protocol?: Protocol
  port?: number
}

export interface SliceEndpoint {
  addresses?: string[]
  conditions?: { ready?: boolean; serving?: boolean; terminating?: boolean }
  nodeName?: string
  hostname?: string
  targetRef?: { name?: string; kind?: string }
}

const protocols = new Set(['TCP', 'UDP', 'SCTP'])
const isIPv4 = (text: unknown): text is string => typeof text === 'string' && parseAddress(text) !== undefined

const isIPv4Range = (text: string): boolean => text.includes('/') && parseRange(text) !== undefined

/** Unknown readiness counts as ready (EndpointSlice API). */
export const isReady = (endpoint: SliceEndpoint): boolean => endpoint.conditions?.ready !== false

/** Where traffic of a kube-proxy would go when nothing is ready: endpoints that end but still serve (KEP-1669). */
const stillServes = ({ conditions }: SliceEndpoint): boolean => Boolean(conditions?.serving && conditions.terminating)

/** Every endpoint of a port of the Service, and those on this node alone. */
interface Candidates {
  all: Endpoint[]
  local: Endpoint[]
}

function endpointsFor(slices: StoredObject[], portName: string, protocol: Protocol, nodeName: string): Candidates {
  const candidates = slices
    .filter((slice) => slice.addressType === 'IPv4')
    .flatMap((slice) => {
      const ports = (slice.ports ?? []) as SlicePort[]
      const port = ports.find((each) => (each.name ?? '') === portName && (each.protocol ?? 'TCP') === protocol)?.port
      return port ? ((slice.endpoints ?? []) as SliceEndpoint[]).map((endpoint) => ({ endpoint, port })) : []
    })
  return {
    all: chosen(candidates),
    local: chosen(candidates.filter(({ endpoint }) => endpoint.nodeName === nodeName)),
  }
}

function chosen(candidates: { endpoint: SliceEndpoint; port: number }[]): Endpoint[] {
  const ready = candidates.filter(({ endpoint }) => isReady(endpoint))
  const used = ready.length > 0 ? ready : candidates.filter(({ endpoint }) => stillServes(endpoint))
  // A Pod may stand in two slices while the controller moves it.
  const found = new Map<string, Endpoint>()
  for (const { endpoint, port } of used) {
    const address = endpoint.addresses?.[0]
    if (isIPv4(address)) found.set(`${address}:${port}`, { address, port })
  }
  return [...found.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint)
}

const defaultAffinitySeconds = 10800

export interface ServicePlace {
  /** Addresses at which Tandem itself listens: no packet to them may be translated. */
  own: ReadonlySet<string>
  nodeName: string
}

interface Port {
  name?: string
  protocol?: Protocol
  port: number
  nodePort?: number
}

const usable = (addresses: unknown[], own: ReadonlySet<string>): string[] =>
  [...new Set(addresses)].filter((address): address is string => isIPv4(address) && !own.has(address))

/** The port as it is reached inside the cluster and, where another traffic policy holds there, from outside. */
export function portsOfService(service: StoredObject, slices: StoredObject[], place: ServicePlace): ServicePort[] {
  const spec = service.spec ?? {}
  const { own, nodeName } = place
  if (spec.type === 'ExternalName' || !isIPv4(spec.clusterIP) || own.has(spec.clusterIP)) return []
  const outer = outerAddresses(service, own)
  const affinitySeconds =
    spec.sessionAffinity === 'ClientIP'
      ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? defaultAffinitySeconds)
      : undefined
  return ((spec.ports ?? []) as Port[])
    .filter(({ protocol = 'TCP' }) => protocols.has(protocol))
    .flatMap(({ name = '', protocol = 'TCP', port, nodePort }) => {
      const found = endpointsFor(slices, name, protocol, nodeName)
      const key = `${service.metadata.namespace}/${service.metadata.name}`
      const common = { protocol, port, ...(affinitySeconds && { affinitySeconds }) }
      const inner = {
        ...common,
        key,
        addresses: [spec.clusterIP as string],
        ...reach(found, spec.internalTrafficPolicy),
      }
      const isOuter = nodePort || outer.addresses.length > 0 || outer.guarded
      if (!isOuter) return [inner]
      const external = {
        ...common,
        ...outer,
        ...(nodePort && { nodePort }),
        ...reach(found, spec.externalTrafficPolicy),
      }
      if (sameReach(inner, external))
        return [{ ...inner, ...external, key, addresses: [...inner.addresses, ...outer.addresses] }]
      return [inner, { ...external, key: `${key}/external` }]
    })
}

function reach({ all, local }: Candidates, policy: string | undefined): Pick<ServicePort, 'endpoints' | 'elsewhere'> {
  if (policy !== 'Local') return { endpoints: all }
  return { endpoints: local, ...(local.length === 0 && all.length > 0 && { elsewhere: true }) }
}

const sameReach = (a: Pick<ServicePort, 'endpoints' | 'elsewhere'>, b: Pick<ServicePort, 'endpoints' | 'elsewhere'>) =>
  a.elsewhere === b.elsewhere && a.endpoints.length === b.endpoints.length

/** The older way to say spec.loadBalancerSourceRanges. */
const rangesAnnotation = 'service.beta.kubernetes.io/load-balancer-source-ranges'

function sourceRanges({ metadata, spec = {} }: StoredObject): string[] {
  const given: string[] = spec.loadBalancerSourceRanges ?? []
  const list = given.length > 0 ? given : (metadata.annotations?.[rangesAnnotation] ?? '').split(',')
  return list.map((range) => range.trim()).filter(Boolean)
}

function outerAddresses(service: StoredObject, own: ReadonlySet<string>) {
  const { spec = {}, status } = service
  const ingress = (status?.loadBalancer?.ingress ?? []) as { ip?: string; ipMode?: string }[]
  // Upstream: an address in mode Proxy is the balancer's own business.
  const balanced =
    spec.type === 'LoadBalancer' ? ingress.filter(({ ipMode }) => ipMode !== 'Proxy').map(({ ip }) => ip) : []
  const given = sourceRanges(service)
  const ranges = given.filter(isIPv4Range)
  const isGuarded = given.length > 0
  return {
    addresses: usable([...(spec.externalIPs ?? []), ...(isGuarded ? [] : balanced)], own),
    // Ranges of IPv6 alone leave nobody: the balancer is closed then, not open.
    ...(ranges.length > 0 && balanced.length > 0 && { guarded: { addresses: usable(balanced, own), ranges } }),
  }
}

interface ContainerPort {
  containerPort: number
  hostPort?: number
  hostIP?: string
  protocol?: Protocol
}

export function hostPortsOfPod(pod: StoredObject): ServicePort[] {
  const address = pod.status?.podIP
  const ended = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
  if (!isIPv4(address) || ended || pod.spec?.hostNetwork) return []
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])] as {
    ports?: ContainerPort[]
  }[]
  return containers
    .flatMap((container) => container.ports ?? [])
    .filter((port) => port.hostPort)
    .map(({ containerPort, hostPort, hostIP, protocol = 'TCP' }) => {
      const everyAddress = !hostIP || hostIP === '0.0.0.0'
      return {
        key: `hostport/${pod.metadata.uid}`,
        protocol,
        port: hostPort!,
        addresses: !everyAddress && isIPv4(hostIP) ? [hostIP] : [],
        ...(everyAddress && { nodePort: hostPort! }),
        endpoints: [{ address, port: containerPort }],
      }
    })
}
