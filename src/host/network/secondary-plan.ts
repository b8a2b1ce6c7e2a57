// A further interface of a machine, as text for `ip -batch`, `nft -f` and dnsmasq (pure). The pod's end and the guest's
// tap hand every frame to each other below the network stack (nftables' netdev family), so that any CNI plugin that makes
// an interface will do, macvlan too. Names of interfaces: KubeVirt 1.9 (pkg/network/namescheme).

import { createHash } from 'node:crypto'
import { maskOf, nth, rangeOf } from './addresses.ts'
import type { CniResult } from './cni.ts'
import { dhcpBase } from './dhcp-base.ts'
import { type LinkState, normalMac, tapLines } from './machine-plan.ts'

export interface SecondaryPlan {
  podInterface: string
  tap: string
  mac: string
  mtu: number
  tapOwner: number
  /** The address that IPAM gave: the guest gets it by DHCP. */
  address?: { address: string; prefix: number; router?: string; routes: { dst: string; gw: string }[] }
  /** An address of the tap itself, from which DHCP answers. */
  ownAddress: string
}

/** eleven letters of a hash: what fits into the name of an interface with "pod" or "tap" before it. */
const hashed = (network: string) => createHash('sha256').update(network).digest('hex').slice(0, 11)

export const podInterfaceOf = (network: string): string => `pod${hashed(network)}`
export const tapOf = (network: string): string => `tap${hashed(network)}`

const everywhere = '0.0.0.0/0'

/** The first IPv4 address of a CNI result, with the routes that go with it. */
function addressOf({ ips = [], routes = [] }: CniResult): SecondaryPlan['address'] {
  const ip = ips.find(({ address }) => !address.includes(':'))
  if (!ip) return undefined
  const [address, prefix] = ip.address.split('/') as [string, string]
  const v4 = routes.filter(({ dst }) => !dst.includes(':')).map(({ dst, gw }) => ({ dst, gw: gw ?? ip.gateway }))
  const usable = v4.filter((route): route is { dst: string; gw: string } => route.gw !== undefined)
  return {
    address,
    prefix: Number(prefix),
    router: usable.find(({ dst }) => dst === everywhere)?.gw,
    routes: usable.filter(({ dst }) => dst !== everywhere),
  }
}

export function planSecondary(
  network: string,
  place: number,
  result: CniResult,
  with_: { mac: string; mtu: number; tapOwner: number },
): SecondaryPlan {
  return {
    podInterface: podInterfaceOf(network),
    tap: tapOf(network),
    mac: normalMac(with_.mac),
    mtu: with_.mtu,
    tapOwner: with_.tapOwner,
    address: addressOf(result),
    ownAddress: nth(rangeOf('169.254.76.0/24'), 10 + place),
  }
}

/** The guest takes the interface's hardware address and its addresses over; the interface keeps none for itself. */
export function secondaryLinks(plan: SecondaryPlan, links: LinkState[]): string[] {
  const { podInterface, tap, mac, mtu, address } = plan
  const lines = tapLines(tap, plan.tapOwner, links)
  lines.push(`link set dev ${podInterface} down`, `address flush dev ${podInterface}`)
  lines.push(`link set dev ${podInterface} addrgenmode none address ${mac} up`)
  lines.push(`link set dev ${tap} mtu ${mtu} addrgenmode none up`)
  if (address)
    lines.push(
      `address replace ${plan.ownAddress}/32 dev ${tap}`,
      `route replace ${address.address}/32 dev ${tap} src ${plan.ownAddress}`,
    )
  return lines
}

/** A table of its own for each, so that one can be made anew without the others. A guest cannot speak as another. */
export function secondaryRules(plan: SecondaryPlan): string {
  const { podInterface, tap, mac, address } = plan
  const name = `tandem_${tap}`
  const chain = (device: string, rules: string[]) => [
    `  chain from_${device} {`,
    `    type filter hook ingress device "${device}" priority 0; policy accept;`,
    ...rules.map((rule) => `    ${rule}`),
    '  }',
  ]
  const lines = [
    `table netdev ${name} {`,
    ...chain(podInterface, [`fwd to "${tap}"`]),
    ...chain(tap, [
      `ether saddr != ${mac} drop`,
      // Asked here only where this machine gave the address; else the network's own server is asked.
      ...(address ? ['udp dport 67 accept', `arp saddr ip != { ${address.address}, 0.0.0.0 } drop`] : []),
      ...(address ? [`ip saddr != { ${address.address}, 0.0.0.0 } drop`] : []),
      `fwd to "${podInterface}"`,
    ]),
    '}',
  ]
  return `${withoutRules(tap)}${lines.join('\n')}\n`
}

/** Harmless where there are none. */
export const withoutRules = (tap: string): string =>
  `table netdev tandem_${tap} {\n}\ndelete table netdev tandem_${tap}\n`

export function secondaryDhcp(plan: SecondaryPlan, pidFile: string): string | undefined {
  const { tap, mac, mtu, address } = plan
  if (!address) return undefined
  const mask = maskOf(address.prefix)
  const routes = address.routes.map(({ dst, gw }) => `${dst},${gw}`)
  // Who is given classless routes takes no other (RFC 3442).
  if (routes.length && address.router) routes.push(`${everywhere},${address.router}`)
  return `${[
    ...dhcpBase(tap, pidFile),
    `shared-network=${tap},${address.address}`,
    `dhcp-range=${address.address},static,${mask},infinite`,
    `dhcp-host=${mac},${address.address},infinite`,
    `dhcp-option=option:netmask,${mask}`,
    // Empty: else dnsmasq would name itself, and the guest would have two ways out.
    `dhcp-option=option:router${address.router ? `,${address.router}` : ''}`,
    'dhcp-option=option:dns-server',
    ...(routes.length ? [`dhcp-option=option:classless-static-route,${routes.join(',')}`] : []),
    `dhcp-option-force=option:mtu,${mtu}`,
  ].join('\n')}\n`
}
