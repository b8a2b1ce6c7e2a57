// What a VM's network namespace must hold, as text for `ip -batch` and `nft -f` (pure). Names as in KubeVirt:
// eth0 is the pod's interface, k6t-eth0 the bridge in the namespace, tap0 the guest's end.

import { createHash } from 'node:crypto'
import { nth, rangeOf } from './addresses.ts'
import type { MachineNetworkRequest } from './network.ts'

export const podInterface = 'eth0'
export const bridge = 'k6t-eth0'
export const tap = 'tap0'
/** The tap of a second QEMU of the same machine while its guest moves from one to the other; they take turns. */
export const twinOf = (name: string): string => `${name}b`
const bridgeMac = '02:00:00:00:00:00'
/** The bridge's own address where the guest has the pod address: link-local, so that it is in nobody's way. */
const linkLocal = '169.254.75.10'

export interface MachinePlan {
  binding: 'masquerade' | 'bridge'
  mac: string
  guestAddress: string
  guestPrefix: number
  /** Next hop of the guest. */
  router: string
  /** Address of the bridge in the namespace, with prefix. */
  bridgeAddress: string
  podAddress: string
  podPrefix: number
  mtu: number
  tapOwner: number
  ports: { port: number; protocol: 'TCP' | 'UDP' }[]
}

/** An interface as `ip -j -d address show` tells it. */
export interface LinkState {
  ifname: string
  ifindex: number
  mtu?: number
  link_index?: number
  master?: string
  address?: string
  addr_info?: { local?: string; prefixlen?: number; family?: string }[]
  /** Of a tap: its owner, by name where that user has one. */
  linkinfo?: { info_data?: { user?: number | string } }
}

/** Locally administered and the same for each run of the same VM: guests that bind names to a MAC keep their network. */
export function macOf(instance: string, key: string): string {
  const hash = createHash('sha256').update(`${instance}/${key}`).digest()
  return ['02', ...[...hash.subarray(0, 5)].map((byte) => byte.toString(16).padStart(2, '0'))].join(':')
}

const macPattern = /^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i

export function normalMac(mac: string): string {
  // The lowest bit of the first byte marks a group address, which no interface may have.
  if (!macPattern.test(mac) || Number.parseInt(mac.slice(0, 2), 16) & 1)
    throw new Error(`"${mac}" is not the MAC address of one interface, such as 02:00:00:12:34:56`)
  return mac.toLowerCase().replaceAll('-', ':')
}

export function planMachine(
  request: MachineNetworkRequest,
  pod: { address: string; cidr: string; gateway: string; mtu: number; instance: string },
): MachinePlan {
  const podPrefix = rangeOf(pod.cidr).prefix
  const common = {
    mac: normalMac(request.mac ?? macOf(pod.instance, `${request.namespace}/${request.name}`)),
    podAddress: pod.address,
    podPrefix,
    mtu: pod.mtu,
    tapOwner: request.tapOwner,
    ports: request.ports ?? [],
  }
  if (request.binding === 'bridge')
    return {
      ...common,
      binding: 'bridge',
      guestAddress: pod.address,
      guestPrefix: podPrefix,
      router: pod.gateway,
      bridgeAddress: `${linkLocal}/32`,
    }
  const inner = rangeOf(request.vmNetworkCidr ?? '10.0.2.0/24')
  if (inner.prefix > 30)
    throw new Error(
      `vmNetworkCIDR ${request.vmNetworkCidr} has no room for a gateway and a guest: use a prefix of 30 or less`,
    )
  return {
    ...common,
    binding: 'masquerade',
    guestAddress: nth(inner, 2),
    guestPrefix: inner.prefix,
    router: nth(inner, 1),
    bridgeAddress: `${nth(inner, 1)}/${inner.prefix}`,
  }
}

/** A tap of another owner is what a start left that was cut before the machine's user was known for good. */
export function tapLines(name: string, owner: number, links: LinkState[]): string[] {
  const there = links.find((link) => link.ifname === name)
  const user = there?.linkinfo?.info_data?.user
  const isForeign = typeof user === 'number' && user !== owner
  if (there && !isForeign) return []
  return [...(there ? [`link delete dev ${name}`] : []), `tuntap add dev ${name} mode tap user ${owner} vnet_hdr`]
}

/** Lines that make what is missing of tap, bridge and addresses: all that QEMU needs. Harmless for what is there. */
export function linkLines(plan: MachinePlan, links: LinkState[]): string[] {
  const has = (name: string) => links.some((link) => link.ifname === name)
  return [
    'link set dev lo up',
    ...tapLines(tap, plan.tapOwner, links),
    ...(has(bridge) ? [] : [`link add ${bridge} address ${bridgeMac} type bridge`]),
    `link set dev ${bridge} mtu ${plan.mtu} addrgenmode none`,
    `address replace ${plan.bridgeAddress} dev ${bridge}`,
    `link set dev ${tap} mtu ${plan.mtu} addrgenmode none master ${bridge} up`,
    `link set dev ${bridge} up`,
  ]
}

/** With the binding "bridge": lines for the pod's own interface. The guest takes over its address, so it becomes a mere port. */
export function portLines(plan: MachinePlan, links: LinkState[]): string[] {
  if (plan.binding !== 'bridge') return []
  const isPort = links.some(({ ifname, master }) => ifname === podInterface && master === bridge)
  const becomesPort = [
    `link set dev ${podInterface} down`,
    `address flush dev ${podInterface}`,
    `link set dev ${podInterface} addrgenmode none address ${portMac(plan.mac)} master ${bridge}`,
  ]
  return [
    ...(isPort ? [] : becomesPort),
    `link set dev ${podInterface} up`,
    `route replace ${plan.guestAddress}/32 dev ${bridge}`,
  ]
}

/** A second tap beside the one that is there, at the same bridge. */
export function twinLines(twin: boolean, owner: number, links: LinkState[]): string[] {
  const [name, other] = tapsOf(twin)
  const mtu = links.find((link) => link.ifname === other)?.mtu ?? 1500
  return [...tapLines(name, owner, links), `link set dev ${name} mtu ${mtu} addrgenmode none master ${bridge} up`]
}

/** The tap of that turn, and the one of the other. */
export const tapsOf = (twin: boolean): [own: string, other: string] => (twin ? [twinOf(tap), tap] : [tap, twinOf(tap)])

/** Differs from the guest's MAC in one bit: a bridge port with the guest's own address would swallow its packets. */
const portMac = (mac: string) =>
  `${mac.slice(0, -2)}${(Number.parseInt(mac.slice(-2), 16) ^ 1).toString(16).padStart(2, '0')}`

const forwardRules = (plan: MachinePlan): string[] => {
  const to = `dnat ip to ${plan.guestAddress}`
  if (plan.ports.length === 0) return [`iifname "${podInterface}" ${to}`]
  return plan.ports.map(
    ({ port, protocol }) => `iifname "${podInterface}" ${protocol.toLowerCase()} dport ${port} ${to}`,
  )
}

/** Rules inside the namespace: address translation with masquerade, and the guest may use no address but its own. */
export function machineRules(plan: MachinePlan): string {
  const family = plan.binding === 'bridge' ? 'bridge' : 'ip'
  const body = plan.binding === 'bridge' ? bridgeRules(plan) : masqueradeRules(plan)
  return `table ${family} tandem {\n}\ndelete table ${family} tandem\ntable ${family} tandem {\n${body.join('\n')}\n}\n`
}

const masqueradeRules = (plan: MachinePlan): string[] => [
  'chain guard {',
  '  type filter hook prerouting priority raw; policy accept;',
  `  iifname "${bridge}" ip saddr != { ${plan.guestAddress}, 0.0.0.0 } drop`,
  '}',
  'chain prerouting {',
  '  type nat hook prerouting priority dstnat; policy accept;',
  ...forwardRules(plan).map((rule) => `  ${rule}`),
  '}',
  'chain postrouting {',
  '  type nat hook postrouting priority srcnat; policy accept;',
  `  oifname "${podInterface}" masquerade`,
  '}',
]

const bridgeRules = (plan: MachinePlan): string[] => [
  'chain guard {',
  '  type filter hook prerouting priority -300; policy accept;',
  `  iifname != { "${tap}", "${twinOf(tap)}" } accept`,
  `  ether saddr != ${plan.mac} drop`,
  `  ether type arp arp saddr ip { ${plan.guestAddress}, 0.0.0.0 } accept`,
  `  ether type ip ip saddr { ${plan.guestAddress}, 0.0.0.0 } accept`,
  // RARP: with it QEMU tells the bridge where a guest is that has moved.
  '  ether type 0x8035 accept',
  '  drop',
  '}',
]
