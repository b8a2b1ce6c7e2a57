// Cluster addresses and node ports of Services: taken when a Service is written, given back when the store says that it
// is gone or no longer uses them (registry/core/service, 1.36). One thread and one table: two writes never get the same.

import { type FieldError, invalid } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import type { Objects } from '../objects.ts'
import type { Registry } from '../registry.ts'
import { type AddressPools, createAddressPools, rangesOf, toAddress, toNumber } from './address-pools.ts'
import { type AdmissionPlugin, type AdmissionRequest, isCore } from './admission.ts'
import { createNumberPool, type NumberPool } from './number-pool.ts'

export interface ServiceRanges {
  /** '10.96.0.0/16' */
  cidr: string
  nodePorts?: { from: number; to: number }
  /** Whether this machine's kernel has SCTP sockets; without them an SCTP Service would lead nowhere. */
  sctp?: boolean
}

const defaultNodePorts = { from: 30000, to: 32767 }

export function serviceAllocation(objects: Objects, registry: Registry, ranges: ServiceRanges): AdmissionPlugin {
  const addresses = createAddressPools(ranges.cidr)
  const { from, to } = ranges.nodePorts ?? defaultNodePorts
  const ports = createNumberPool({
    first: from,
    last: to,
    dynamicFrom: from + Math.min(Math.max(16, (to - from + 1) >> 5), 128),
  })
  let loaded = false

  /** The first Service loads what is taken; from then on the store tells what becomes free. */
  function load(): void {
    if (loaded) return
    loaded = true
    const resource = registry.preferred('', 'services')!
    const revision = objects.store.revision()
    followRanges(objects, registry, addresses, () =>
      objects
        .list(resource, '')
        .flatMap(({ object }) => addressesOf(object).map((address) => [toNumber(address), ownerOf(object)] as const)),
    )
    for (const { object } of objects.list(resource, '')) {
      for (const address of addressesOf(object)) addresses.take(toNumber(address), ownerOf(object))
      for (const port of nodePortsOf(object)) ports.take(port, ownerOf(object))
    }
    objects.watch(resource, '', revision, (changes) => {
      for (const { type, object, previous } of changes) {
        if (!previous) continue
        const owner = ownerOf(previous)
        const keptAddresses = type === 'delete' ? [] : addressesOf(object)
        const keptPorts = type === 'delete' ? [] : nodePortsOf(object)
        for (const address of addressesOf(previous))
          if (!keptAddresses.includes(address)) addresses.release(toNumber(address), owner)
        for (const port of nodePortsOf(previous)) if (!keptPorts.includes(port)) ports.release(port, owner)
      }
    })
  }

  return {
    name: 'ServiceAllocation',
    resources: ['services'],
    admit(request) {
      if (request.operation === 'DELETE' || !isCore(request, 'services')) return
      load()
      const service = request.object!
      if (!service.spec) return
      if (request.old) keepAllocated(service, request.old)
      const errors: FieldError[] = []
      allocateAddress(request, service, addresses, errors)
      allocatePorts(request, service, ports, { from, to }, errors)
      allocateHealthCheck(request, service, ports, errors)
      if (!ranges.sctp) refuseSctp(service, request.old, errors)
      if (errors.length > 0) throw invalid('Service', service.metadata.name ?? '', errors)
    },
  }
}

/** ServiceCIDRs that come and go change what can be given out from the next Service on. */
function followRanges(
  objects: Objects,
  registry: Registry,
  pools: AddressPools,
  held: () => Iterable<readonly [number: number, owner: string]>,
): void {
  const resource = registry.preferred('networking.k8s.io', 'servicecidrs')
  if (!resource) return
  const revision = objects.store.revision()
  const read = () =>
    pools.extend(
      objects.list(resource, '').flatMap(({ object }) => rangesOf(object)),
      held(),
    )
  read()
  objects.watch(resource, '', revision, read)
}

const needsAddress = (service: ApiObject): boolean => service.spec?.type !== 'ExternalName'

const needsPorts = (service: ApiObject): boolean =>
  service.spec?.type === 'NodePort' ||
  (service.spec?.type === 'LoadBalancer' && service.spec.allocateLoadBalancerNodePorts !== false)

const addressesOf = (service: ApiObject): string[] =>
  [service.spec?.clusterIP].filter((address) => typeof address === 'string' && /^\d+\.\d+\.\d+\.\d+$/.test(address))

const nodePortsOf = (service: ApiObject): number[] =>
  [
    ...(service.spec?.ports ?? []).map((port: { nodePort?: number }) => port.nodePort),
    service.spec?.healthCheckNodePort,
  ].filter((port): port is number => typeof port === 'number' && port > 0)

/** A client that sends an update without what the server chose does not mean to give it back (patchAllocatedValues). */
function keepAllocated(service: ApiObject, old: ApiObject): void {
  const { spec } = service
  if (needsAddress(old) && needsAddress(service) && !spec.clusterIP) {
    spec.clusterIP = old.spec.clusterIP
    spec.clusterIPs ??= old.spec.clusterIPs
  }
  if (!needsPorts(old) || !needsPorts(service)) return
  const used = new Set(nodePortsOf(service))
  for (const port of spec.ports ?? []) {
    if (port.nodePort) continue
    const before = (old.spec.ports ?? []).find(
      (one: { port: number; protocol?: string; nodePort?: number }) =>
        one.port === port.port &&
        (one.protocol ?? 'TCP') === (port.protocol ?? 'TCP') &&
        one.nodePort &&
        !used.has(one.nodePort),
    )
    if (!before) continue
    port.nodePort = before.nodePort
    used.add(before.nodePort)
  }
}

function allocateAddress(
  request: AdmissionRequest,
  service: ApiObject,
  pool: AddressPools,
  errors: FieldError[],
): void {
  const { spec } = service
  if (!needsAddress(service)) {
    delete spec.clusterIP
    delete spec.clusterIPs
    return
  }
  spec.ipFamilies ??= ['IPv4']
  spec.ipFamilyPolicy ??= 'SingleStack'
  const asked = spec.clusterIP || spec.clusterIPs?.[0]
  const before = request.old && needsAddress(request.old) ? request.old.spec?.clusterIP : undefined
  const refuse = (field: string, detail: string) =>
    errors.push({ type: 'FieldValueInvalid', field, value: asked ? [asked] : [], detail })
  let address = asked
  if (before && asked !== before) refuse('spec.clusterIPs[0]', 'may not change once set')
  else if (!before && asked !== 'None') {
    const taken = asked ? takeAddress(pool, asked, service) : nextAddress(pool, service)
    if (typeof taken === 'string') refuse('spec.clusterIPs', taken)
    else {
      request.undo.push(() => pool.release(taken.number, ownerOf(service)))
      address = toAddress(taken.number)
    }
  }
  if (!address) return
  spec.clusterIP = address
  spec.clusterIPs = [address]
}

/** The uid: two Services of one name that race for it must not hold each other's numbers. */
const ownerOf = (service: ApiObject): string => service.metadata.uid ?? ''

/** A text says why not. */
function takeAddress(pool: AddressPools, asked: string, service: ApiObject): { number: number } | string {
  const number = isAddress(asked) ? toNumber(asked) : -1
  switch (pool.take(number, ownerOf(service))) {
    case 'outside':
      return `failed to allocate IP ${asked}: the provided IP (${asked}) is not in the valid range. The range of valid IPs is ${pool.ranges()}`
    case 'taken':
      return `failed to allocate IP ${asked}: provided IP is already allocated`
    default:
      return { number }
  }
}

function nextAddress(pool: AddressPools, service: ApiObject): { number: number } | string {
  const number = pool.next(ownerOf(service))
  return number === undefined ? `failed to allocate a serviceIP: range is full (${pool.ranges()})` : { number }
}

const isAddress = (text: string): boolean => /^\d+\.\d+\.\d+\.\d+$/.test(text)

function allocatePorts(
  request: AdmissionRequest,
  service: ApiObject,
  pool: NumberPool,
  range: { from: number; to: number },
  errors: FieldError[],
): void {
  const before = new Set(request.old ? nodePortsOf(request.old) : [])
  if (!needsPorts(service)) {
    // Ports of a type that had them go away with the type; upstream refuses them on a new ClusterIP Service in validation.
    if (before.size > 0)
      for (const port of service.spec.ports ?? []) if (before.has(port.nodePort)) delete port.nodePort
    return
  }
  const mine = new Set<number>()
  for (const [index, port] of (service.spec.ports ?? []).entries()) {
    if (!port.nodePort) continue
    const field = `spec.ports[${index}].nodePort`
    // One number may serve TCP and UDP of the same Service.
    if (before.has(port.nodePort) || mine.has(port.nodePort)) continue
    const result = pool.take(port.nodePort, ownerOf(service))
    if (result === 'outside')
      errors.push({
        type: 'FieldValueInvalid',
        field,
        value: port.nodePort,
        detail: `provided port is not in the valid range. The range of valid ports is ${range.from}-${range.to}`,
      })
    else if (result === 'taken')
      errors.push({
        type: 'FieldValueInvalid',
        field,
        value: port.nodePort,
        detail: 'provided port is already allocated',
      })
    else {
      mine.add(port.nodePort)
      request.undo.push(() => pool.release(port.nodePort, ownerOf(service)))
    }
  }
  for (const [index, port] of (service.spec.ports ?? []).entries()) {
    if (port.nodePort || errors.length > 0) continue
    const number = pool.next(ownerOf(service))
    if (number === undefined) {
      errors.push({
        type: 'FieldValueInvalid',
        field: `spec.ports[${index}].nodePort`,
        value: 0,
        detail: 'failed to allocate a nodePort: range is full',
      })
      return
    }
    port.nodePort = number
    request.undo.push(() => pool.release(number, ownerOf(service)))
  }
}

/** The port at which load balancers elsewhere ask whether this node has endpoints of the Service. */
function allocateHealthCheck(
  request: AdmissionRequest,
  service: ApiObject,
  pool: NumberPool,
  errors: FieldError[],
): void {
  const { spec } = service
  if (spec.type !== 'LoadBalancer' || spec.externalTrafficPolicy !== 'Local') return
  const field = 'spec.healthCheckNodePort'
  if (spec.healthCheckNodePort) {
    if (request.old?.spec?.healthCheckNodePort === spec.healthCheckNodePort) return
    const result = pool.take(spec.healthCheckNodePort, ownerOf(service))
    const refuse = (detail: string) =>
      errors.push({ type: 'FieldValueInvalid', field, value: spec.healthCheckNodePort, detail })
    if (result === 'outside') refuse('provided port is not in the valid range')
    else if (result === 'taken') refuse('provided port is already allocated')
    else request.undo.push(() => pool.release(spec.healthCheckNodePort, ownerOf(service)))
    return
  }
  const number = pool.next(ownerOf(service))
  if (number === undefined) {
    errors.push({ type: 'FieldValueInvalid', field, value: 0, detail: 'failed to allocate a nodePort: range is full' })
    return
  }
  spec.healthCheckNodePort = number
  request.undo.push(() => pool.release(number, ownerOf(service)))
}

function refuseSctp(service: ApiObject, old: ApiObject | undefined, errors: FieldError[]): void {
  const had = (old?.spec?.ports ?? []).some((port: { protocol?: string }) => port.protocol === 'SCTP')
  for (const [index, port] of (service.spec.ports ?? []).entries())
    if (port.protocol === 'SCTP' && !had)
      errors.push({
        type: 'FieldValueNotSupported',
        field: `spec.ports[${index}].protocol`,
        value: 'SCTP',
        detail: 'supported values: "TCP", "UDP" (the kernel of this machine has no SCTP)',
      })
}
