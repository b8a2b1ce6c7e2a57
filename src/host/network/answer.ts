// What cluster DNS says to one question (pure), after the specification "Kubernetes DNS-Based Service Discovery" 1.1.0
// and what CoreDNS' kubernetes plugin adds to it (1.11: dashed addresses as host names, pod records as with "insecure").

import type { StoredObject } from '../../api/meta.ts'
import { contains, formatAddress, parseAddress, rangeOf } from './addresses.ts'
import { isReady, type SliceEndpoint } from './service-ports.ts'

/** Seconds; CoreDNS' default for cluster names. */
export const ttl = 5
/** Version of the specification, as the name dns-version says it. */
const dnsVersion = '1.1.0'

export type DnsRecord =
  | { name: string; type: 'A' | 'AAAA' | 'CNAME' | 'PTR' | 'TXT' | 'NS'; ttl: number; data: string }
  | { name: string; type: 'SRV'; ttl: number; data: { priority: number; weight: number; port: number; target: string } }
  | { name: string; type: 'SOA'; ttl: number; data: Record<string, string | number> }

export interface Answer {
  rcode: 'NOERROR' | 'NXDOMAIN'
  answers: DnsRecord[]
  authorities: DnsRecord[]
  additionals: DnsRecord[]
  /** The name that an ExternalName points to; who answers looks it up too. */
  follow?: string
}

export interface Zone {
  /** cluster.local */
  domain: string
  podCidr: string
  serviceCidr: string
}

/** What is known of Services, by the keys that questions have. */
export interface ClusterNames {
  service(namespace: string, name: string): StoredObject | undefined
  slices(namespace: string, name: string): StoredObject[]
  hasServices(namespace: string): boolean
  servicesAt(address: string): StoredObject[]
  slicesAt(address: string): StoredObject[]
}

export interface Question {
  name: string
  type: string
}

interface Host {
  /** First label: the Pod's hostname, or its address with dashes. */
  label: string
  address: string
  family: 'A' | 'AAAA'
  ports: { name: string; protocol: string; port: number }[]
}

const familyOf = (address: string): 'A' | 'AAAA' => (address.includes(':') ? 'AAAA' : 'A')
const asked = (type: string, family: 'A' | 'AAAA') => type === family || type === 'ANY'

/** The answer, or undefined when the name is none of ours and somebody else must be asked. */
export function answer(question: Question, zone: Zone, names: ClusterNames): Answer | undefined {
  const name = question.name.toLowerCase().replace(/\.$/, '')
  if (name === zone.domain || name.endsWith(`.${zone.domain}`)) return answerForward(name, question, zone, names)
  const address = reverseAddress(name)
  if (address === undefined) return undefined
  const number = parseAddress(address)!
  const ours = [zone.podCidr, zone.serviceCidr].some((cidr) => contains(rangeOf(cidr), number))
  return ours ? answerReverse(address, question, zone, names) : undefined
}

/** '10.0.43.10.in-addr.arpa' → '10.43.0.10' */
function reverseAddress(name: string): string | undefined {
  if (!name.endsWith('.in-addr.arpa')) return undefined
  const number = parseAddress(name.slice(0, -'.in-addr.arpa'.length).split('.').reverse().join('.'))
  return number === undefined ? undefined : formatAddress(number)
}

function soa(zone: Zone): DnsRecord {
  const data = {
    mname: `ns.dns.${zone.domain}`,
    rname: `hostmaster.${zone.domain}`,
    serial: 1,
    refresh: 7200,
    retry: 1800,
    expire: 86400,
    minimum: ttl,
  }
  return { name: zone.domain, type: 'SOA', ttl, data }
}

const found = (answers: DnsRecord[], zone: Zone, additionals: DnsRecord[] = []): Answer => ({
  rcode: 'NOERROR',
  answers,
  authorities: answers.length > 0 ? [] : [soa(zone)],
  additionals,
})

const noSuchName = (zone: Zone): Answer => ({
  rcode: 'NXDOMAIN',
  answers: [],
  authorities: [soa(zone)],
  additionals: [],
})

function answerForward(name: string, question: Question, zone: Zone, names: ClusterNames): Answer {
  const labels = name === zone.domain ? [] : name.slice(0, -zone.domain.length - 1).split('.')
  const kind = labels.at(-1)
  const namespace = labels.at(-2)
  if (kind === undefined) return found(question.type === 'SOA' || question.type === 'ANY' ? [soa(zone)] : [], zone)
  if (name === `dns-version.${zone.domain}`)
    return found(question.type === 'TXT' ? [{ name, type: 'TXT', ttl, data: dnsVersion }] : [], zone)
  if (kind !== 'svc' && kind !== 'pod') return noSuchName(zone)
  if (namespace === undefined) return found([], zone)
  if (kind === 'pod') return answerPod(name, labels, question, zone)
  if (labels.length === 2) return names.hasServices(namespace) ? found([], zone) : noSuchName(zone)
  const service = names.service(namespace, labels.at(-3)!)
  if (!service) return noSuchName(zone)
  return answerService(name, labels.slice(0, -3), service, question, zone, names)
}

/** A Pod's name is its address: 10-42-0-7.default.pod.cluster.local */
function answerPod(name: string, labels: string[], question: Question, zone: Zone): Answer {
  const [label, ...more] = labels
  if (labels.length === 2) return found([], zone)
  const address = parseAddress(label!.replaceAll('-', '.'))
  if (more.length !== 2 || address === undefined || label!.includes('.')) return noSuchName(zone)
  if (!contains(rangeOf(zone.podCidr), address)) return noSuchName(zone)
  return found(asked(question.type, 'A') ? [{ name, type: 'A', ttl, data: formatAddress(address) }] : [], zone)
}

const isHeadless = (service: StoredObject) => service.spec?.clusterIP === 'None'

function clusterAddresses(service: StoredObject): string[] {
  const all = (service.spec?.clusterIPs ?? [service.spec?.clusterIP]) as (string | undefined)[]
  return all.filter((address): address is string => Boolean(address) && address !== 'None')
}

const dashed = (address: string) => address.replaceAll(/[.:]/g, '-')

function hostsOf(service: StoredObject, names: ClusterNames): Host[] {
  const hosts = new Map<string, Host>()
  for (const slice of names.slices(service.metadata.namespace!, service.metadata.name)) {
    const ports = ((slice.ports ?? []) as { name?: string; protocol?: string; port?: number }[]).flatMap(
      ({ name = '', protocol = 'TCP', port }) => (port ? [{ name, protocol, port }] : []),
    )
    for (const endpoint of (slice.endpoints ?? []) as SliceEndpoint[]) {
      if (!isReady(endpoint)) continue
      for (const address of endpoint.addresses ?? []) {
        const label = endpoint.hostname || dashed(address)
        hosts.set(`${label} ${address}`, { label, address, family: familyOf(address), ports })
      }
    }
  }
  return [...hosts.values()]
}

/** `rest` is what stands before service.namespace.svc: nothing, a host name, or _port._protocol. */
function answerService(
  name: string,
  rest: string[],
  service: StoredObject,
  question: Question,
  zone: Zone,
  names: ClusterNames,
): Answer {
  if (service.spec?.type === 'ExternalName')
    return rest.length > 0 ? noSuchName(zone) : external(name, service, question, zone)
  if (rest.length === 2 && rest.every((label) => label.startsWith('_')))
    return answerPort(name, [rest[0]!.slice(1), rest[1]!.slice(1)], service, question, zone, names)
  if (rest.length > 1) return noSuchName(zone)
  const hosts = isHeadless(service) || rest.length === 1 ? hostsOf(service, names) : []
  if (rest.length === 1) {
    const same = hosts.filter((host) => host.label.toLowerCase() === rest[0])
    return same.length > 0 ? found(addressRecords(name, same, question.type), zone) : noSuchName(zone)
  }
  if (isHeadless(service)) {
    // As CoreDNS: a headless Service whose endpoints are all gone does not exist for resolvers.
    if (hosts.length === 0) return noSuchName(zone)
    return question.type === 'SRV'
      ? answerPort(name, undefined, service, question, zone, names)
      : found(addressRecords(name, hosts, question.type), zone)
  }
  if (question.type === 'SRV') return answerPort(name, undefined, service, question, zone, names)
  const addresses = clusterAddresses(service).map((address) => ({ address, family: familyOf(address) }))
  return found(addressRecords(name, addresses, question.type), zone)
}

function addressRecords(name: string, hosts: { address: string; family: 'A' | 'AAAA' }[], type: string): DnsRecord[] {
  const addresses = new Map(hosts.filter((host) => asked(type, host.family)).map((host) => [host.address, host.family]))
  return [...addresses].map(([data, family]) => ({ name, type: family, ttl, data }))
}

function external(name: string, service: StoredObject, question: Question, zone: Zone): Answer {
  const target = String(service.spec?.externalName ?? '').replace(/\.$/, '')
  if (!target) return noSuchName(zone)
  if (!['A', 'AAAA', 'CNAME', 'ANY'].includes(question.type)) return found([], zone)
  const result = found([{ name, type: 'CNAME', ttl, data: target }], zone)
  return question.type === 'CNAME' ? result : { ...result, follow: target }
}

/** SRV records: one for the Service, or one for each host of a headless one; the hosts' addresses come along. */
function answerPort(
  name: string,
  wanted: [port: string, protocol: string] | undefined,
  service: StoredObject,
  question: Question,
  zone: Zone,
  names: ClusterNames,
): Answer {
  const base = `${service.metadata.name}.${service.metadata.namespace}.svc.${zone.domain}`
  const fits = (port: { name: string; protocol: string }) =>
    !wanted || (port.name.toLowerCase() === wanted[0] && port.protocol.toLowerCase() === wanted[1])
  const servicePorts = ((service.spec?.ports ?? []) as { name?: string; protocol?: string; port: number }[]).map(
    ({ name: portName = '', protocol = 'TCP', port }) => ({ name: portName, protocol, port }),
  )
  const targets = isHeadless(service)
    ? hostsOf(service, names).map((host) => ({ ...host, target: `${host.label}.${base}` }))
    : clusterAddresses(service).map((address) => ({
        address,
        family: familyOf(address),
        target: base,
        ports: servicePorts,
      }))
  const matching = targets.flatMap((target) => target.ports.filter(fits).map(({ port }) => ({ ...target, port })))
  if (matching.length === 0) return noSuchName(zone)
  if (question.type !== 'SRV' && question.type !== 'ANY')
    return found(addressRecords(name, matching, question.type), zone)
  const records = new Map<string, DnsRecord>()
  const weight = Math.max(1, Math.floor(100 / matching.length))
  for (const { target, port } of matching)
    records.set(`${target} ${port}`, { name, type: 'SRV', ttl, data: { priority: 0, weight, port, target } })
  const additionals = new Map<string, DnsRecord>()
  for (const { target, family, address } of matching)
    additionals.set(`${target} ${address}`, { name: target, type: family, ttl, data: address })
  return found([...records.values()], zone, [...additionals.values()])
}

function answerReverse(address: string, question: Question, zone: Zone, names: ClusterNames): Answer {
  const fullName = (object: StoredObject, name: string) => `${name}.${object.metadata.namespace}.svc.${zone.domain}`
  const targets = new Set(names.servicesAt(address).map((service) => fullName(service, service.metadata.name)))
  if (targets.size === 0) {
    for (const slice of names.slicesAt(address)) {
      const serviceName = slice.metadata.labels?.['kubernetes.io/service-name'] ?? ''
      const service = names.service(slice.metadata.namespace!, serviceName)
      if (!service) continue
      const endpoint = ((slice.endpoints ?? []) as SliceEndpoint[]).find((each) => each.addresses?.includes(address))
      // Only what also answers forward: the hosts of headless Services and those with a name of their own.
      if (!endpoint || (!isHeadless(service) && !endpoint.hostname)) continue
      targets.add(fullName(slice, `${endpoint.hostname || dashed(address)}.${serviceName}`))
    }
  }
  if (targets.size === 0) return noSuchName(zone)
  const name = question.name
  const wanted = question.type === 'PTR' || question.type === 'ANY'
  return found(wanted ? [...targets].map((data) => ({ name, type: 'PTR' as const, ttl, data })) : [], zone)
}
