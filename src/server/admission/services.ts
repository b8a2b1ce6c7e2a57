// Cluster addresses and node ports of Services: taken when a Service is written, given back when the store says that it
// is gone or no longer uses them (registry/core/service, 1.36). One thread and one table: two writes never get the same.

import { type FieldError, invalid } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { keyOf, type Objects } from '../objects.ts'
import type { Registry } from '../registry.ts'
import { type AdmissionPlugin, type AdmissionRequest, isCore } from './admission.ts'

export interface ServiceRanges {
  /** '10.96.0.0/16' */
  cidr: string
  nodePorts?: { from: number; to: number }
}

const defaultNodePorts = { from: 30000, to: 32767 }

export function serviceAllocation(objects: Objects, registry: Registry, ranges: ServiceRanges): AdmissionPlugin {
  const addresses = createPool(addressRange(ranges.cidr))
  const { from, to } = ranges.nodePorts ?? defaultNodePorts
  const ports = createPool({
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
    for (const { object, key } of objects.list(resource, '')) {
      for (const address of addressesOf(object)) addresses.take(toNumber(address), key)
      for (const port of nodePortsOf(object)) ports.take(port, key)
    }
    objects.watch(resource, '', revision, (changes) => {
      for (const { type, object, previous } of changes) {
        if (!previous) continue
        const key = keyOf(resource, object.metadata.namespace ?? '', object.metadata.name)
        const keptAddresses = type === 'delete' ? [] : addressesOf(object)
        const keptPorts = type === 'delete' ? [] : nodePortsOf(object)
        for (const address of addressesOf(previous))
          if (!keptAddresses.includes(address)) addresses.release(toNumber(address), key)
        for (const port of nodePortsOf(previous)) if (!keptPorts.includes(port)) ports.release(port, key)
      }
    })
  }

  return {
    name: 'ServiceAllocation',
    admit(request) {
      if (request.operation === 'DELETE' || !isCore(request, 'services')) return
      load()
      const service = request.object!
      if (!service.spec) return
      const key = keyOf(request.resource, request.namespace, service.metadata.name ?? '')
      if (request.old) keepAllocated(service, request.old)
      const errors: FieldError[] = []
      allocateAddress(request, service, key, addresses, ranges.cidr, errors)
      allocatePorts(request, service, key, ports, { from, to }, errors)
      if (errors.length > 0) throw invalid('Service', service.metadata.name ?? '', errors)
    },
  }
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
  key: string,
  pool: Pool,
  cidr: string,
  errors: FieldError[],
): void {
  const { spec } = service
  if (!needsAddress(service)) {
    delete spec.clusterIP
    delete spec.clusterIPs
    return
  }
  const asked = spec.clusterIP || spec.clusterIPs?.[0]
  spec.ipFamilies ??= ['IPv4']
  spec.ipFamilyPolicy ??= 'SingleStack'
  const give = (address: string) => {
    spec.clusterIP = address
    spec.clusterIPs = [address]
  }
  if (asked === 'None') return give('None')
  const before = request.old?.spec?.clusterIP
  if (asked && asked === before) return give(asked)
  const refuse = (detail: string) =>
    errors.push({ type: 'FieldValueInvalid', field: 'spec.clusterIPs', value: [asked], detail })
  if (before && request.old && needsAddress(request.old)) {
    errors.push({
      type: 'FieldValueInvalid',
      field: 'spec.clusterIPs[0]',
      value: [asked],
      detail: 'may not change once set',
    })
    return
  }
  if (!asked) {
    const number = pool.next(key)
    if (number === undefined) {
      errors.push({
        type: 'FieldValueInvalid',
        field: 'spec.clusterIPs',
        value: [],
        detail: `failed to allocate a serviceIP: range is full (${cidr})`,
      })
      return
    }
    request.undo.push(() => pool.release(number, key))
    return give(toAddress(number))
  }
  const number = /^\d+\.\d+\.\d+\.\d+$/.test(asked) ? toNumber(asked) : -1
  const result = pool.take(number, key)
  if (result === 'outside')
    refuse(
      `failed to allocate IP ${asked}: the provided IP (${asked}) is not in the valid range. The range of valid IPs is ${cidr}`,
    )
  else if (result === 'taken') refuse(`failed to allocate IP ${asked}: provided IP is already allocated`)
  else {
    request.undo.push(() => pool.release(number, key))
    give(asked)
  }
}

function allocatePorts(
  request: AdmissionRequest,
  service: ApiObject,
  key: string,
  pool: Pool,
  range: { from: number; to: number },
  errors: FieldError[],
): void {
  const before = new Set(request.old ? nodePortsOf(request.old) : [])
  if (!needsPorts(service)) {
    // Ports of a type that had them go away with the type; upstream refuses them on a new ClusterIP Service in validation.
    if (before.size > 0) for (const port of service.spec.ports ?? []) delete port.nodePort
    return
  }
  const mine = new Set<number>()
  for (const [index, port] of (service.spec.ports ?? []).entries()) {
    if (!port.nodePort) continue
    const field = `spec.ports[${index}].nodePort`
    // One number may serve TCP and UDP of the same Service.
    if (before.has(port.nodePort) || mine.has(port.nodePort)) continue
    const result = pool.take(port.nodePort, key)
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
      request.undo.push(() => pool.release(port.nodePort, key))
    }
  }
  for (const [index, port] of (service.spec.ports ?? []).entries()) {
    if (port.nodePort || errors.length > 0) continue
    const number = pool.next(key)
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
    request.undo.push(() => pool.release(number, key))
  }
}

interface Range {
  first: number
  last: number
  /** Below it only what is asked for by number: keeps the low ones free for people who choose (ServiceIPStaticSubrange). */
  dynamicFrom: number
}

interface Pool {
  take(number: number, owner: string): 'ok' | 'taken' | 'outside'
  next(owner: string): number | undefined
  release(number: number, owner: string): void
}

function createPool(range: Range): Pool {
  const owners = new Map<number, string>()
  const free = (from: number, to: number): number | undefined => {
    const size = to - from + 1
    if (size <= 0) return undefined
    // From a random place on: a number that was just given back is not given out again at once.
    const start = Math.floor(Math.random() * size)
    for (let step = 0; step < size; step++) {
      const number = from + ((start + step) % size)
      if (!owners.has(number)) return number
    }
    return undefined
  }
  return {
    take(number, owner) {
      if (number < range.first || number > range.last) return 'outside'
      const holder = owners.get(number)
      if (holder !== undefined && holder !== owner) return 'taken'
      owners.set(number, owner)
      return 'ok'
    },
    next(owner) {
      const number = free(range.dynamicFrom, range.last) ?? free(range.first, range.dynamicFrom - 1)
      if (number !== undefined) owners.set(number, owner)
      return number
    },
    release(number, owner) {
      if (owners.get(number) === owner) owners.delete(number)
    },
  }
}

function addressRange(cidr: string): Range {
  const [base = '', bits = '24'] = cidr.split('/')
  const size = 2 ** (32 - Number(bits))
  const network = Math.floor(toNumber(base) / size) * size
  const reserved = Math.min(Math.max(16, size / 16), 256)
  const first = network + 1
  const last = network + size - 2
  return { first, last, dynamicFrom: Math.min(first + reserved, last) }
}

const toNumber = (address: string): number => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)

const toAddress = (number: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.')
