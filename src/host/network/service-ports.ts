// From API objects to what the packet rules need: the ports of Services with the endpoints that should get traffic now,
// and the hostPorts of Pods (pure).

import type { StoredObject } from '../../api/meta.ts'
import { parseAddress } from './addresses.ts'
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
  hostname?: string
  targetRef?: { name?: string; kind?: string }
}

const protocols = new Set(['TCP', 'UDP', 'SCTP'])
const isIPv4 = (text: unknown): text is string => typeof text === 'string' && parseAddress(text) !== undefined

/** Unknown readiness counts as ready (EndpointSlice API). */
export const isReady = (endpoint: SliceEndpoint): boolean => endpoint.conditions?.ready !== false

/** Where traffic of a kube-proxy would go when nothing is ready: endpoints that end but still serve (KEP-1669). */
const stillServes = ({ conditions }: SliceEndpoint): boolean => Boolean(conditions?.serving && conditions.terminating)

function endpointsFor(slices: StoredObject[], portName: string, protocol: Protocol): Endpoint[] {
  const candidates = slices
    .filter((slice) => slice.addressType === 'IPv4')
    .flatMap((slice) => {
      const ports = (slice.ports ?? []) as SlicePort[]
      const port = ports.find((each) => (each.name ?? '') === portName && (each.protocol ?? 'TCP') === protocol)?.port
      return port ? ((slice.endpoints ?? []) as SliceEndpoint[]).map((endpoint) => ({ endpoint, port })) : []
    })
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

/** `own`: addresses at which Tandem itself listens, so no packet to them may be translated. */
export function portsOfService(service: StoredObject, slices: StoredObject[], own: Set<string>): ServicePort[] {
  const spec = service.spec ?? {}
  if (spec.type === 'ExternalName' || !isIPv4(spec.clusterIP) || own.has(spec.clusterIP)) return []
  const ingress = ((service.status?.loadBalancer?.ingress ?? []) as { ip?: string }[]).map(({ ip }) => ip)
  const addresses = [...new Set([spec.clusterIP, ...(spec.externalIPs ?? []), ...ingress])].filter(
    (address) => isIPv4(address) && !own.has(address),
  )
  const affinitySeconds =
    spec.sessionAffinity === 'ClientIP'
      ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? defaultAffinitySeconds)
      : undefined
  return ((spec.ports ?? []) as { name?: string; protocol?: Protocol; port: number; nodePort?: number }[])
    .filter(({ protocol = 'TCP' }) => protocols.has(protocol))
    .map(({ name = '', protocol = 'TCP', port, nodePort }) => ({
      key: `${service.metadata.namespace}/${service.metadata.name}`,
      protocol,
      port,
      addresses,
      ...(nodePort && { nodePort }),
      ...(affinitySeconds && { affinitySeconds }),
      endpoints: endpointsFor(slices, name, protocol),
    }))
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
