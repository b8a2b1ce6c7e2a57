// The network cards of a machine: the pod network's first, and one for each further network that its spec names.

import type { StoredObject } from '../../api/meta.ts'
import type { ConfList } from '../network/cni.ts'
import type { Network } from '../network/network.ts'
import type { PreparedCard } from './plan.ts'
import type { ProcessUser } from './process.ts'
import type { StartedMachine } from './record.ts'
import { hostnameOf, type Interface, interfacesOf, specOf } from './vmi.ts'

export interface AttachedCards {
  netns: string
  /** When the first of them reaches the network. @throws Error when it cannot */
  joined: Promise<void>
  cards: PreparedCard[]
  started: Pick<StartedMachine, 'network' | 'secondaries'>
}

interface CardRooms {
  network: Network
  sources: { network(namespace: string, name: string): Promise<ConfList> }
  user?: ProcessUser
}

/** undefined: it has no card at all. */
export async function attachCards(rooms: CardRooms, object: StoredObject): Promise<AttachedCards | undefined> {
  const spec = specOf(object)
  const cards = interfacesOf(spec)
  if (!cards.length) return undefined
  const sourceOf = ({ name }: Interface) => spec.networks?.find((one) => one.name === name)
  const first = cards.find((card) => !sourceOf(card)?.multus)
  const { uid, namespace = '', name } = object.metadata
  const { dnsConfig } = spec
  const further = cards.filter((card) => card !== first)
  const network = await rooms.network.attachMachine({
    uid,
    namespace,
    name,
    // Without a card there it is an address that nobody answers at.
    binding: first?.bridge ? 'bridge' : 'masquerade',
    mac: first?.macAddress,
    vmNetworkCidr: first && sourceOf(first)?.pod?.vmNetworkCIDR,
    ports: first?.ports?.map(({ port, protocol }) => ({ port, protocol: protocol === 'UDP' ? 'UDP' : 'TCP' })),
    hostname: hostnameOf(object),
    subdomain: spec.subdomain,
    tapOwner: rooms.user?.uid ?? 0,
    secondaries: await Promise.all(
      further.map(async (card) => ({
        name: card.name,
        conf: await rooms.sources.network(namespace, sourceOf(card)?.multus?.networkName ?? ''),
        mac: card.macAddress?.toLowerCase().replaceAll('-', ':'),
      })),
    ),
    dns: dnsConfig && {
      ...dnsConfig,
      options: dnsConfig.options?.map(({ name, value }) => (value === undefined ? name : `${name}:${value}`)),
    },
  })
  const joined = new Map(network.secondaries.map((one) => [one.name, one]))
  return {
    netns: network.netns,
    joined: network.joined,
    cards: cards.map((card) => {
      const { tap, mac, mtu } = joined.get(card.name) ?? network
      return { card, tap, mac, mtu }
    }),
    started: {
      network: first && { address: network.address, mac: network.mac },
      ...(network.secondaries.length && {
        secondaries: network.secondaries.map(({ name, mac, podInterface, addresses }) => ({
          name,
          mac,
          podInterface,
          addresses,
        })),
      }),
    },
  }
}
