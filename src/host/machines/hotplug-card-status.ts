// status.interfaces: what the guest has, and what is on its way to it. Pure; fields and words of infoSource: KubeVirt 1.9
// (pkg/network/setup/netstat.go, pkg/network/controllers/vmi.go).

import type { GuestInfo } from './agent.ts'
import { cardsLeft } from './hotplug-card-plan.ts'
import type { StartedMachine } from './record.ts'
import type { VmiSpec } from './vmi.ts'

interface SeenCard {
  name: string
  mac: string
  podInterface: string
  addresses: string[]
  isSecondary: boolean
}

export function interfaceStatus(spec: VmiSpec, started: StartedMachine, agent?: GuestInfo): object[] {
  const hot = started.plugged?.cards ?? []
  const plugged = hot.flatMap(({ name, joined, state }) =>
    joined && state === 'ready' ? [{ name, ...joined, isSecondary: true }] : [],
  )
  // The network knows of it, QEMU does not yet.
  const coming = hot.flatMap(({ name, joined, state }) =>
    joined && state === 'coming' ? [{ name, infoSource: 'multus-status', podInterfaceName: joined.podInterface }] : [],
  )
  const cards = [...coldOnes(spec, started), ...plugged]
  return [...cards.map((card) => statusOf(card, started.linksDown?.includes(card.name) ?? false, agent)), ...coming]
}

function coldOnes(spec: VmiSpec, started: StartedMachine): SeenCard[] {
  const { network, secondaries = [] } = started
  return cardsLeft(spec, started).flatMap(({ name }): SeenCard[] => {
    const secondary = secondaries.find((one) => one.name === name)
    if (secondary) return [{ ...secondary, isSecondary: true }]
    if (!network) return []
    return [{ name, mac: network.mac, podInterface: 'eth0', addresses: [network.address], isSecondary: false }]
  })
}

function statusOf(card: SeenCard, isDown: boolean, agent: GuestInfo | undefined): object {
  const { name, mac, podInterface, addresses, isSecondary } = card
  const seen = agent?.interfaces.find((one) => one.mac?.toLowerCase() === mac.toLowerCase())
  // On the pod network what others reach counts; elsewhere what the guest has, which nobody else may know.
  const ips = isSecondary && seen?.addresses.length ? seen.addresses : addresses
  return {
    name,
    ...(ips.length && { ipAddress: ips[0], ipAddresses: ips }),
    mac,
    infoSource: ['domain', ...(seen ? ['guest-agent'] : []), ...(isSecondary ? ['multus-status'] : [])].join(', '),
    ...(seen && { interfaceName: seen.name }),
    podInterfaceName: podInterface,
    queueCount: 1,
    linkState: isDown ? 'down' : 'up',
  }
}
