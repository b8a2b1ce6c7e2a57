// The network of a micro-VM: its guest takes over the address and the card of the Pod's namespace, which CNI has made like
// any Pod's. Beside it a card for control, to a network that exists only between this namespace and the guest.

import { run } from '../exec.ts'
import { controlTap, podTap } from './machine-argv.ts'

const bridge = 'guest'
const hostAddress = '169.254.75.1'
/** On the network between the guest and the programs that speak to it. */
export const guestAddress = '169.254.75.2'

/** What the guest has to know. */
export interface GuestNetwork {
  mac: string
  /** With its prefix length. */
  address: string
  gateway: string
  mtu: number
}

interface Link {
  ifname: string
  address: string
  mtu: number
  addr_info?: { family: string; local: string; prefixlen: number; scope: string }[]
}

interface Route {
  dst: string
  gateway?: string
}

/** @throws Error when the namespace is none that Tandem's CNI configuration has made */
export function guestNetwork(links: Link[], routes: Route[]): GuestNetwork {
  const link = links.find(({ ifname }) => ifname === 'eth0')
  const address = link?.addr_info?.find(({ family, scope }) => family === 'inet' && scope === 'global')
  const gateway = routes.find(({ dst }) => dst === 'default')?.gateway
  if (!link || !address || !gateway) throw new Error('the network namespace of the Pod has no eth0 with an address')
  return { mac: link.address, address: `${address.local}/32`, gateway, mtu: link.mtu }
}

/** Differs in one bit: a bridge port with the guest's own address would swallow its packets. */
const portMac = (mac: string) =>
  `${mac.slice(0, -2)}${(Number.parseInt(mac.slice(-2), 16) ^ 1).toString(16).padStart(2, '0')}`

/** For `ip -batch`. */
export function linkLines({ mac, mtu }: GuestNetwork, user: number): string[] {
  return [
    'link set dev lo up',
    `tuntap add dev ${podTap} mode tap user ${user} vnet_hdr`,
    `tuntap add dev ${controlTap} mode tap user ${user} vnet_hdr`,
    `address add ${hostAddress}/30 dev ${controlTap}`,
    `link set dev ${controlTap} addrgenmode none up`,
    `link add ${bridge} type bridge`,
    `link set dev ${bridge} mtu ${mtu} addrgenmode none`,
    'link set dev eth0 down',
    'address flush dev eth0',
    `link set dev eth0 addrgenmode none address ${portMac(mac)} master ${bridge}`,
    'link set dev eth0 up',
    `link set dev ${podTap} mtu ${mtu} addrgenmode none master ${bridge} up`,
    `link set dev ${bridge} up`,
    // For port-forward, which connects from within this namespace to its loopback address.
    `address add 169.254.75.10/32 dev ${bridge}`,
  ]
}

/** The guest uses no address but the Pod's; what is sent to loopback here is meant for the guest. */
export function guardRules({ mac, address }: GuestNetwork): string {
  const own = address.split('/')[0]
  return `table bridge tandem {
  chain guard {
    type filter hook prerouting priority -300; policy accept;
    iifname != "${podTap}" accept
    ether saddr != ${mac} drop
    ether type arp arp saddr ip { ${own}, 0.0.0.0 } accept
    ether type ip ip saddr ${own} accept
    drop
  }
}
table ip tandem {
  chain output {
    type nat hook output priority -100; policy accept;
    oifname "lo" ip daddr 127.0.0.1 meta l4proto tcp dnat to ${own}
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    oifname "${bridge}" ip saddr 127.0.0.1 snat to 169.254.75.10
  }
}
`
}

/** Once, before QEMU opens its ends. */
export async function prepareNetwork(netns: string, user: number): Promise<GuestNetwork> {
  const inside = (...argv: string[]) => ['nsenter', `--net=${netns}`, ...argv]
  const [links, routes] = await Promise.all([
    run(inside('ip', '-j', 'address', 'show')),
    run(inside('ip', '-j', 'route', 'show')),
  ])
  const network = guestNetwork(JSON.parse(links.stdout), JSON.parse(routes.stdout))
  const own = network.address.split('/')[0]
  const batch = [...linkLines(network, user), `route add ${own}/32 dev ${bridge}`]
  await run(inside('ip', '-batch', '-'), { input: `${batch.join('\n')}\n` })
  await run(inside('nft', '-f', '-'), { input: guardRules(network) })
  await run(inside('tee', '/proc/sys/net/ipv4/conf/all/route_localnet'), { input: '1' })
  return network
}
