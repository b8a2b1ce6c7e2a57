// NetworkPolicies as nftables (pure): who is isolated, and what may still pass. A new connection costs two lookups by
// address and, for who is isolated, the rules of its own policies; every later packet none of it. Workloads with the same
// rules share a chain, equal peers share a set.

import { createHash } from 'node:crypto'
import type { StoredObject } from '../../api/meta.ts'
import { type LabelSelector, selectorMatcher } from '../../api/selector.ts'
import { formatInterval, type Interval, merged, subtract } from './address-ranges.ts'
import type { Ruleset } from './ruleset.ts'

export interface NamedPort {
  name: string
  protocol: string
  port: number
}

/** A Pod or VM as policies see it. */
export interface PolicyWorkload {
  namespace: string
  labels: Record<string, string>
  address: string
  ports: NamedPort[]
}

export interface PolicyInputs {
  policies: StoredObject[]
  workloads: PolicyWorkload[]
  /** Namespace → its labels. */
  namespaces: Map<string, Record<string, string>>
}

type Direction = 'ingress' | 'egress'

interface Peer {
  podSelector?: LabelSelector
  namespaceSelector?: LabelSelector
  ipBlock?: { cidr: string; except?: string[] }
}

interface PolicyPort {
  protocol?: string
  port?: number | string
  endPort?: number
}

interface Rule {
  from?: Peer[]
  to?: Peer[]
  ports?: PolicyPort[]
}

const shortHash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16)

/** The same selector is asked for every workload: matched once for each set of labels. */
function createMatching({ workloads, namespaces }: PolicyInputs) {
  const chosen = new Map<string, PolicyWorkload[]>()
  const inNamespaces = (selector: LabelSelector): Set<string> => {
    const matcher = selectorMatcher(selector)
    return new Set([...namespaces].filter(([, labels]) => matcher.matches(labels)).map(([name]) => name))
  }
  const byNamespace = Map.groupBy(workloads, ({ namespace }) => namespace)
  return {
    inNamespace(namespace: string, selector: LabelSelector | undefined): PolicyWorkload[] {
      const matcher = selectorMatcher(selector ?? {})
      return (byNamespace.get(namespace) ?? []).filter(({ labels }) => matcher.matches(labels))
    },
    peers(namespace: string, peer: Peer): { key: string; workloads: PolicyWorkload[] } {
      const scope = peer.namespaceSelector ?? namespace
      const key = JSON.stringify([scope, peer.podSelector ?? {}])
      const known = chosen.get(key)
      if (known) return { key, workloads: known }
      const names = typeof scope === 'string' ? [scope] : [...inNamespaces(scope)]
      const found = names.flatMap((name) => this.inNamespace(name, peer.podSelector))
      chosen.set(key, found)
      return { key, workloads: found }
    },
  }
}

type Matching = ReturnType<typeof createMatching>

/** Where a rule's text is put together: sets are shared by name. */
interface Draft {
  sets: Map<string, string>
  elements: Map<string, Map<string, string>>
}

function addressSet(draft: Draft, key: string, workloads: PolicyWorkload[]): string {
  const name = `pods/${shortHash(key)}`
  draft.sets.set(name, 'type ipv4_addr;')
  draft.elements.set(name, new Map(workloads.map(({ address }) => [address, ''])))
  return name
}

function blockSet(draft: Draft, intervals: Interval[]): string {
  const shown = merged(intervals).map(formatInterval)
  const name = `blocks/${shortHash(shown.join())}`
  draft.sets.set(name, 'type ipv4_addr; flags interval;')
  draft.elements.set(name, new Map(shown.map((interval) => [interval, ''])))
  return name
}

/** Matches for the other side of a rule; [''] where anybody is meant. */
function peerMatches(
  draft: Draft,
  matching: Matching,
  namespace: string,
  direction: Direction,
  peers: Peer[],
): string[] {
  if (peers.length === 0) return ['']
  const field = direction === 'ingress' ? 'ip saddr' : 'ip daddr'
  const selected = peers.filter((peer) => !peer.ipBlock)
  const blocks = peers.flatMap(({ ipBlock }) => (ipBlock ? subtract(ipBlock.cidr, ipBlock.except ?? []) : []))
  const matches = selected.map((peer) => {
    const { key, workloads } = matching.peers(namespace, peer)
    return `${field} @${addressSet(draft, key, workloads)} `
  })
  if (blocks.length > 0) matches.push(`${field} @${blockSet(draft, blocks)} `)
  return matches
}

const protocolOf = (port: PolicyPort): string => (port.protocol ?? 'TCP').toLowerCase()

/** 'tcp . 80' and 'udp . 53-60', and the protocols of which every port is meant. */
function numericPorts(ports: PolicyPort[]): { places: string[]; whole: string[] } {
  const places = new Set<string>()
  const whole = new Set<string>()
  for (const port of ports) {
    if (port.port === undefined) whole.add(protocolOf(port))
    else if (typeof port.port === 'number')
      places.add(
        `${protocolOf(port)} . ${port.endPort && port.endPort > port.port ? `${port.port}-${port.endPort}` : port.port}`,
      )
  }
  return { places: [...places], whole: [...whole] }
}

const numberOf = (workload: PolicyWorkload, wanted: PolicyPort): number | undefined =>
  workload.ports.find(({ name, protocol }) => name === wanted.port && protocol === (wanted.protocol ?? 'TCP'))?.port

const isNamed = (port: PolicyPort): boolean => typeof port.port === 'string'

/** Ports by name mean what the target calls so: the isolated workload itself, or each of those it wants to reach. */
function portMatches(
  ports: PolicyPort[],
  direction: Direction,
  target: PolicyWorkload,
): { matches: string[]; named: PolicyPort[] } {
  if (ports.length === 0) return { matches: [''], named: [] }
  const named = ports.filter(isNamed)
  const known =
    direction === 'ingress'
      ? named.flatMap((port) => {
          const number = numberOf(target, port)
          return number === undefined ? [] : [{ ...port, port: number }]
        })
      : []
  const { places, whole } = numericPorts([...ports.filter((port) => !isNamed(port)), ...known])
  const matches: string[] = []
  if (places.length > 0) matches.push(`meta l4proto . th dport { ${overlapFree(places).join(', ')} } `)
  if (whole.length > 0) matches.push(`meta l4proto { ${whole.join(', ')} } `)
  return { matches, named: direction === 'egress' ? named : [] }
}

/** Intervals of one protocol that overlap are refused by the kernel. */
function overlapFree(places: string[]): string[] {
  const byProtocol = Map.groupBy(places, (place) => place.split(' . ')[0]!)
  return [...byProtocol].flatMap(([protocol, list]) =>
    merged(
      list.map((place): Interval => {
        const [first = 0, last = first] = place.split(' . ')[1]!.split('-').map(Number)
        return [first, last]
      }),
    ).map(([first, last]) => `${protocol} . ${first === last ? first : `${first}-${last}`}`),
  )
}

/** Addresses of peers together with the number that each of them gives the name. */
function namedSet(
  draft: Draft,
  matching: Matching,
  inputs: PolicyInputs,
  namespace: string,
  peers: Peer[],
  ports: PolicyPort[],
) {
  const selected = peers.filter((peer) => !peer.ipBlock)
  const targets = new Set(
    peers.length === 0 ? inputs.workloads : selected.flatMap((peer) => matching.peers(namespace, peer).workloads),
  )
  const places = new Map<string, string>()
  for (const target of targets)
    for (const port of ports) {
      const number = numberOf(target, port)
      if (number !== undefined) places.set(`${target.address} . ${protocolOf(port)} . ${number}`, '')
    }
  const name = `named/${shortHash(JSON.stringify([namespace, selected, ports]))}`
  draft.sets.set(name, 'type ipv4_addr . inet_proto . inet_service;')
  draft.elements.set(name, places)
  return name
}

/** The rules of one policy for one workload. */
function rulesOf(
  draft: Draft,
  matching: Matching,
  inputs: PolicyInputs,
  policy: StoredObject,
  direction: Direction,
  target: PolicyWorkload,
): string[] {
  const namespace = policy.metadata.namespace ?? ''
  const lines: string[] = []
  for (const rule of (policy.spec?.[direction] ?? []) as Rule[]) {
    const peers = (direction === 'ingress' ? rule.from : rule.to) ?? []
    const { matches, named } = portMatches(rule.ports ?? [], direction, target)
    if (matches.length > 0)
      for (const peer of peerMatches(draft, matching, namespace, direction, peers))
        for (const port of matches) lines.push(`${peer}${port}return`)
    if (named.length > 0)
      lines.push(
        `ip daddr . meta l4proto . th dport @${namedSet(draft, matching, inputs, namespace, peers, named)} return`,
      )
  }
  return lines
}

const applies = (policy: StoredObject, direction: Direction): boolean => {
  const types: string[] =
    policy.spec?.policyTypes ?? (policy.spec?.egress?.length ? ['Ingress', 'Egress'] : ['Ingress'])
  return types.includes(direction === 'ingress' ? 'Ingress' : 'Egress')
}

/** Chains, sets and the two maps that lead from addresses to chains. */
export function planPolicies(inputs: PolicyInputs): Ruleset {
  const chains = new Map<string, string[]>()
  const draft: Draft = { sets: new Map(), elements: new Map() }
  const matching = createMatching(inputs)
  for (const direction of ['ingress', 'egress'] as const) {
    const isolating = new Map<PolicyWorkload, StoredObject[]>()
    for (const policy of inputs.policies) {
      if (!applies(policy, direction)) continue
      for (const workload of matching.inNamespace(policy.metadata.namespace ?? '', policy.spec?.podSelector)) {
        const list = isolating.get(workload)
        if (list) list.push(policy)
        else isolating.set(workload, [policy])
      }
    }
    const verdicts = new Map<string, string>()
    const known = new Map<string, string>()
    for (const [workload, policies] of isolating) {
      // Only ports by name make the rules of two workloads with the same policies differ.
      const like = JSON.stringify([policies.map(({ metadata }) => metadata.uid), workload.ports])
      let chain = known.get(like)
      if (!chain) {
        const lines = policies.flatMap((policy) => rulesOf(draft, matching, inputs, policy, direction, workload))
        const rules = [...new Set(lines), 'drop']
        chain = `${direction}/${shortHash(rules.join('\n'))}`
        chains.set(chain, rules)
        known.set(like, chain)
      }
      verdicts.set(workload.address, `jump ${chain}`)
    }
    draft.elements.set(direction, verdicts)
  }
  return { sets: draft.sets, chains, elements: draft.elements }
}
