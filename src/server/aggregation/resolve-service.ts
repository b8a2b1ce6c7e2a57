// Where a port of a Service is answered: one of its ready endpoints, or what its type says
// (apiserver pkg/util/proxy/proxy.go ResolveEndpoint, 1.36). The server reaches workloads on its own machine directly.

import type { StoredObject } from '../../api/meta.ts'
import type { Lookup } from '../admission/lookup.ts'

export interface Destination {
  host: string
  port: number
}

/** @throws Error in upstream's words */
export function resolveService(lookup: Lookup, namespace: string, name: string, port: number): Destination {
  const service = lookup.get('', 'services', namespace, name)
  if (!service) throw new Error(`service ${JSON.stringify(name)} not found`)
  const { type = 'ClusterIP', externalName, ports = [] } = service.spec ?? {}
  if (type === 'ExternalName') return { host: externalName, port }
  const servicePort = ports.find((one: { port: number }) => one.port === port)
  if (!servicePort) throw new Error(`no service port ${port} found for service ${JSON.stringify(name)}`)
  const endpoints = readyEndpoints(lookup, namespace, name, servicePort.name ?? '')
  if (endpoints.length === 0) throw new Error(`no endpoints available for service ${JSON.stringify(name)}`)
  return endpoints[Math.floor(Math.random() * endpoints.length)]!
}

function readyEndpoints(lookup: Lookup, namespace: string, name: string, portName: string): Destination[] {
  return lookup
    .list('discovery.k8s.io', 'endpointslices', namespace)
    .filter((slice) => slice.metadata.labels?.['kubernetes.io/service-name'] === name && slice.addressType !== 'FQDN')
    .flatMap((slice) => destinationsOf(slice, portName))
}

function destinationsOf(slice: StoredObject, portName: string): Destination[] {
  const found = (slice.ports ?? []).find((one: { name?: string }) => (one.name ?? '') === portName)
  if (!found?.port) return []
  return (slice.endpoints ?? []).flatMap((endpoint: { addresses?: string[]; conditions?: { ready?: boolean } }) =>
    endpoint.conditions?.ready === false ? [] : (endpoint.addresses ?? []).map((host) => ({ host, port: found.port })),
  )
}
