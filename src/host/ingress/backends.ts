// Where a request for a Service goes: one of the endpoints that are ready now, in turn. Endpoints that end but still
// serve are taken when nothing else is left, as the packet rules do.

import type { StoredObject } from '../../api/meta.ts'
import type { Informer, InformerFactory } from '../../client/informer.ts'
import { isReady, type SliceEndpoint, serviceLabel } from '../network/service-ports.ts'
import type { Backend } from './routing-table.ts'

const serviceRef = { group: '', version: 'v1', resource: 'services' }
const sliceRef = { group: 'discovery.k8s.io', version: 'v1', resource: 'endpointslices' }
const byService = 'ingress.service'

export interface Endpoint {
  host: string
  port: number
  /** What the Service says its port speaks (appProtocol). */
  speaks?: string
}

export interface Backends {
  /** Undefined when there is no such Service or port, or nobody behind it. */
  choose(backend: Pick<Backend, 'namespace' | 'service' | 'port'>): Endpoint | undefined
}

interface Port {
  name?: string
  port?: number
  protocol?: string
  appProtocol?: string
}

function portOf(service: StoredObject, { name, number }: Backend['port']): Port | undefined {
  const ports = (service.spec?.ports ?? []) as Port[]
  return ports.find((port) => (number === undefined ? port.name === name : port.port === number))
}

function endpointsOf(slices: StoredObject[], wanted: Port): Endpoint[] {
  const candidates = slices.flatMap((slice) => {
    if (slice.addressType !== 'IPv4') return []
    const port = ((slice.ports ?? []) as Port[]).find(
      ({ name = '', protocol = 'TCP' }) => name === (wanted.name ?? '') && protocol === 'TCP',
    )
    const number = port?.port
    if (!number) return []
    return ((slice.endpoints ?? []) as SliceEndpoint[]).map((endpoint) => ({ endpoint, number }))
  })
  const ready = candidates.filter(({ endpoint }) => isReady(endpoint))
  const serving = candidates.filter(({ endpoint }) => endpoint.conditions?.serving && endpoint.conditions.terminating)
  const speaks = wanted.appProtocol
  return (ready.length > 0 ? ready : serving).flatMap(({ endpoint, number }) => {
    const host = endpoint.addresses?.[0]
    return host ? [{ host, port: number, ...(speaks && { speaks }) }] : []
  })
}

export function createBackends(informers: InformerFactory): Backends {
  const services: Informer = informers.informer(serviceRef)
  const slices: Informer = informers.informer(sliceRef)
  slices.addIndex(byService, ({ metadata }) => {
    const service = metadata.labels?.[serviceLabel]
    return service ? [`${metadata.namespace}/${service}`] : []
  })
  let turn = 0
  return {
    choose(backend) {
      const key = `${backend.namespace}/${backend.service}`
      const service = services.get(key)
      const port = service && service.spec?.type !== 'ExternalName' ? portOf(service, backend.port) : undefined
      if (!port) return undefined
      const endpoints = endpointsOf(slices.byIndex(byService, key), port)
      turn = (turn + 1) % Number.MAX_SAFE_INTEGER
      return endpoints[turn % endpoints.length]
    },
  }
}
