// Services as nftables: what the table should hold (pure), its whole text, and the smallest change from one state to the
// next. A packet is looked up in one map by address, protocol and port, whatever the number of Services.

export type Protocol = 'TCP' | 'UDP' | 'SCTP'

export interface Endpoint {
  address: string
  port: number
}

/** One port of a Service (or a hostPort of a Pod) and where its packets go. */
export interface ServicePort {
  /** Unique and made of DNS names: 'default/web' or 'hostport/<pod uid>'. */
  key: string
  protocol: Protocol
  port: number
  /** Addresses at which it is reached: cluster, external and load balancer addresses. */
  addresses: string[]
  /** Port on every address of this machine. */
  nodePort?: number
  /** Addresses of load balancers that only clients of these ranges may use. */
  guarded?: { addresses: string[]; ranges: string[] }
  /** Seconds for which a client stays with its endpoint. */
  affinitySeconds?: number
  endpoints: Endpoint[]
  /** There are endpoints, but the traffic policy allows none of them: packets are dropped, not refused. */
  elsewhere?: boolean
}

export interface TableSettings {
  /** 'tandem_1a2b' */
  table: string
  podCidr: string
  serviceCidr: string
  dnsAddress: string
}

export interface Ruleset {
  /** Set name → declaration. */
  sets: Map<string, string>
  /** Chain name → rules. */
  chains: Map<string, string[]>
  /** Set or map name → element → value ('' in a set). */
  elements: Map<string, Map<string, string>>
}

const safe = /^[a-z0-9][a-z0-9./-]*$/
const address = /^\d{1,3}(\.\d{1,3}){3}$/
const range = /^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/

function check(service: ServicePort): void {
  const addresses = [
    ...service.addresses,
    ...(service.guarded?.addresses ?? []),
    ...service.endpoints.map((endpoint) => endpoint.address),
  ]
  if (!safe.test(service.key)) throw new Error(`cannot make rules for "${service.key}": not a valid name`)
  const wrong = addresses.find((text) => !address.test(text))
  if (wrong !== undefined) throw new Error(`cannot make rules for ${service.key}: "${wrong}" is not an IPv4 address`)
  const wrongRange = service.guarded?.ranges.find((text) => !range.test(text))
  if (wrongRange !== undefined)
    throw new Error(`cannot make rules for ${service.key}: "${wrongRange}" is not an IPv4 range`)
}

/** Chains and sets of a Service whose clients keep their endpoint: one set of clients for each endpoint. */
function affinityChains(ruleset: Ruleset, service: ServicePort, id: string): string[] {
  const protocol = service.protocol.toLowerCase()
  const known: string[] = []
  const choices: string[] = []
  service.endpoints.forEach((endpoint, index) => {
    const to = `${id}/${endpoint.address}/${endpoint.port}`
    const timeout = `${service.affinitySeconds}s`
    ruleset.sets.set(`client/${to}`, `type ipv4_addr; flags dynamic,timeout; timeout ${timeout};`)
    ruleset.chains.set(`endpoint/${to}`, [
      `update @client/${to} { ip saddr } meta l4proto ${protocol} dnat ip to ${endpoint.address}:${endpoint.port}`,
    ])
    known.push(`ip saddr @client/${to} goto endpoint/${to}`)
    choices.push(`${index} : goto endpoint/${to}`)
  })
  return [...known, `numgen random mod ${choices.length} vmap { ${choices.join(', ')} }`]
}

function translation(service: ServicePort): string {
  const protocol = service.protocol.toLowerCase()
  const [only, ...others] = service.endpoints
  if (others.length === 0) return `meta l4proto ${protocol} dnat ip to ${only!.address}:${only!.port}`
  const choices = service.endpoints.map((endpoint, index) => `${index} : ${endpoint.address} . ${endpoint.port}`)
  return `meta l4proto ${protocol} dnat ip to numgen random mod ${choices.length} map { ${choices.join(', ')} }`
}

/** A Service without endpoints gets no chain: its packets are refused. */
export function buildRuleset(services: ServicePort[]): Ruleset {
  const byAddress = new Map<string, string>()
  const byNodePort = new Map<string, string>()
  const hairpin = new Map<string, string>()
  const unserved = new Map<string, string>()
  const ruleset: Ruleset = {
    sets: new Map(),
    chains: new Map(),
    elements: new Map([
      ['services', byAddress],
      ['nodeports', byNodePort],
      ['hairpin', hairpin],
      ['unserved', unserved],
    ]),
  }
  for (const service of services) {
    check(service)
    const protocol = service.protocol.toLowerCase()
    const id = `${service.key}/${protocol}/${service.port}`
    // Two Services may claim one external address and port: the first one keeps it.
    const claim = (map: Map<string, string>, element: string, verdict: string) =>
      map.has(element) || map.set(element, verdict)
    const at = (target: string) => `${target} . ${protocol} . ${service.port}`
    const everywhere = [...service.addresses, ...(service.guarded?.addresses ?? [])]
    if (service.endpoints.length === 0) {
      for (const target of everywhere)
        if (service.elsewhere) claim(byAddress, at(target), 'drop')
        else unserved.set(at(target), '')
      if (service.elsewhere && service.nodePort) claim(byNodePort, `${protocol} . ${service.nodePort}`, 'drop')
      continue
    }
    const verdict = `goto service/${id}`
    const rules = service.affinitySeconds ? affinityChains(ruleset, service, id) : [translation(service)]
    ruleset.chains.set(`service/${id}`, rules)
    for (const target of service.addresses) claim(byAddress, at(target), verdict)
    if (service.guarded) {
      const { ranges, addresses } = service.guarded
      ruleset.chains.set(`firewall/${id}`, [`ip saddr != { ${ranges.join(', ')} } drop`, verdict])
      for (const target of addresses) claim(byAddress, at(target), `goto firewall/${id}`)
    }
    if (service.nodePort) claim(byNodePort, `${protocol} . ${service.nodePort}`, verdict)
    for (const endpoint of service.endpoints) hairpin.set(`${endpoint.address} . ${endpoint.address}`, '')
  }
  return ruleset
}

/** The part that never changes while the instance lives. */
function frame({ podCidr, serviceCidr, dnsAddress }: TableSettings): string {
  return `
  map services { type ipv4_addr . inet_proto . inet_service : verdict; }
  map nodeports { type inet_proto . inet_service : verdict; }
  # Endpoint addresses paired with themselves: the packets of a workload that met itself behind a Service.
  set hairpin { type ipv4_addr . ipv4_addr; }
  # Where Services without endpoints would be.
  set unserved { type ipv4_addr . inet_proto . inet_service; }
  # What may leave and reach an address that a NetworkPolicy selects; all others are in neither map.
  map egress { type ipv4_addr : verdict; }
  map ingress { type ipv4_addr : verdict; }

  # Keeps strangers from what route_localnet opens and from cluster DNS, and Pods from using another's address.
  chain guard {
    type filter hook prerouting priority raw; policy accept;
    iifname "lo" accept
    ip daddr 127.0.0.0/8 drop
    ip saddr 127.0.0.0/8 drop
    ip saddr ${podCidr} fib saddr . iif oif missing drop
    ip daddr ${dnsAddress} ip saddr != ${podCidr} drop
  }
  chain translate {
    ip daddr . meta l4proto . th dport vmap @services
    fib daddr type local meta l4proto . th dport vmap @nodeports
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    jump translate
  }
  chain output_translate {
    type nat hook output priority -100; policy accept;
    jump translate
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "lo" accept
    ct status dnat ip saddr . ip daddr @hairpin masquerade
    ip saddr 127.0.0.0/8 ct status dnat masquerade
    ct status dnat ip saddr != ${podCidr} ip daddr != ${podCidr} masquerade
    ip saddr ${podCidr} ip daddr != { ${podCidr}, ${serviceCidr}, 224.0.0.0/4 } masquerade
  }
  # What still has a Service address here has no endpoint: "connection refused" at once instead of a long wait.
  # A connecting socket of this machine does not hear an ICMP error before its second try, but it hears a reset.
  chain refuse {
    meta l4proto tcp reject with tcp reset
    reject with icmp port-unreachable
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state established,related accept
    # A workload that meets itself behind a Service is never kept from itself.
    ip saddr . ip daddr @hairpin accept
    ip saddr vmap @egress
    ip daddr vmap @ingress
    ip daddr ${serviceCidr} jump refuse
    ip daddr . meta l4proto . th dport @unserved jump refuse
  }
  # The node may always be spoken with, as upstream says; cluster DNS stands for Pods and can be kept from a workload.
  chain input {
    type filter hook input priority filter; policy accept;
    ip daddr != ${dnsAddress} accept
    ct state established,related accept
    ip saddr vmap @egress
  }
  chain output {
    type filter hook output priority filter; policy accept;
    ip daddr ${serviceCidr} fib daddr type != local jump refuse
    ip daddr . meta l4proto . th dport @unserved fib daddr type != local jump refuse
  }
`
}

const element = ([key, value]: [string, string]) => (value ? `${key} : ${value}` : key)

function* elementLines(table: string, verb: 'add' | 'delete', name: string, elements: [string, string][]) {
  // A map is changed by key; naming the value when deleting is refused by some versions of nft.
  const shown = elements.map((entry) => (verb === 'add' ? element(entry) : entry[0]))
  if (shown.length > 0) yield `${verb} element ip ${table} ${name} { ${shown.join(', ')} }`
}

/** Text for `nft -f` that replaces the whole table at once. */
export function renderTable(settings: TableSettings, ruleset: Ruleset): string {
  const { table } = settings
  const lines = [`table ip ${table} {`, '}', `delete table ip ${table}`, `table ip ${table} {${frame(settings)}`]
  for (const [name, declaration] of ruleset.sets) lines.push(`  set ${name} { ${declaration} }`)
  for (const [name, rules] of chainsInOrder(ruleset))
    lines.push(`  chain ${name} {`, ...rules.map((rule) => `    ${rule}`), '  }')
  lines.push('}')
  for (const [name, elements] of ruleset.elements) lines.push(...elementLines(table, 'add', name, [...elements]))
  return `${lines.join('\n')}\n`
}

/** Chains that others jump to come first. */
const order = ['endpoint/', 'service/', '']
const rankOf = (name: string) => order.findIndex((prefix) => name.startsWith(prefix))
const chainsInOrder = (ruleset: Ruleset) => [...ruleset.chains].sort(([a], [b]) => rankOf(a) - rankOf(b))

const missing = <T>(from: Map<string, T>, other: Map<string, T>, same = (_a: T, _b: T) => true): [string, T][] =>
  [...from].filter(([key, value]) => !other.has(key) || !same(value, other.get(key)!))

/** Text for `nft -f` that turns `old` into `next`; '' when they are the same. Applied as one transaction. */
export function renderChange({ table }: TableSettings, old: Ruleset, next: Ruleset): string {
  const sameText = (a: string, b: string) => a === b
  const sameRules = (a: string[], b: string[]) => a.length === b.length && a.every((rule, index) => rule === b[index])
  const lines: string[] = []
  const newSets = missing(next.sets, old.sets, sameText)
  // A set whose declaration changed (another timeout) is made anew, so everything that names it is written again.
  const goneSets = missing(old.sets, next.sets, sameText)
  const remade = new Set(newSets.map(([name]) => name).filter((name) => old.sets.has(name)))
  const touches = (rules: string[]) => rules.some((rule) => [...remade].some((name) => rule.includes(`@${name} `)))
  const written = chainsInOrder(next).filter(([name, rules]) => {
    const before = old.chains.get(name)
    return !before || !sameRules(before, rules) || touches(rules)
  })
  const gone = missing(old.chains, next.chains)
  for (const [name] of written) lines.push(`add chain ip ${table} ${name}`)
  for (const [name] of [...written, ...gone]) lines.push(`flush chain ip ${table} ${name}`)
  for (const [name] of goneSets) lines.push(`delete set ip ${table} ${name}`)
  for (const [name, declaration] of newSets) lines.push(`add set ip ${table} ${name} { ${declaration} }`)
  for (const [name, rules] of written) for (const rule of rules) lines.push(`add rule ip ${table} ${name} ${rule}`)
  for (const [name, elements] of next.elements) {
    const before = old.elements.get(name) ?? new Map<string, string>()
    lines.push(...elementLines(table, 'delete', name, missing(before, elements, sameText)))
    lines.push(...elementLines(table, 'add', name, missing(elements, before, sameText)))
  }
  for (const [name] of gone) lines.push(`delete chain ip ${table} ${name}`)
  return lines.length > 0 ? `${lines.join('\n')}\n` : ''
}
