// The network cards of a machine: the pod network's first, and one for each further network that its spec names. In a guest
// that goes on in another QEMU, those that it had.

import type { StoredObject } from '../../api/meta.ts'
import type { ConfList } from '../network/cni.ts'
import type { Network } from '../network/network.ts'
import { cardNamed, cardsLeft, coldCards, type PluggedCard } from './hotplug-card-plan.ts'
import type { PreparedCard } from './plan.ts'
import type { ProcessUser } from './process.ts'
import type { StartedMachine } from './record.ts'
import { hostnameOf, type Interface, interfacesOf, specOf, type VmiSpec } from './vmi.ts'
import { Waiting } from './waiting.ts'

export interface AttachedCards {
  netns: string
  /** When the first of them reaches the network. @throws Error when it cannot */
  joined: Promise<void>
  cards: PreparedCard[]
  started: Pick<StartedMachine, 'network' | 'secondaries' | 'cards'>
  plugged: PluggedCard[]
}

interface CardRooms {
  network: Network
  sources: { network(namespace: string, name: string): Promise<ConfList> }
  user?: ProcessUser
}

type Place = Pick<PreparedCard, 'card' | 'slot' | 'hot'>

const coldPlaces = (spec: VmiSpec): Place[] => interfacesOf(spec).map((card, slot) => ({ card, slot }))

/** What was plugged is as it was when it was; the others are as the spec says, also when they are to go. */
function placesBefore(spec: VmiSpec, before: StartedMachine): Place[] {
  const left = cardsLeft(spec, before).map(({ name, index: slot }): Place => {
    const card = cardNamed(spec, name)
    if (card) return { card, slot }
    throw new Waiting('ResumeFailed', `interface ${name} is in the guest and not in spec.template: add it there again`)
  })
  const hot = before.plugged?.cards?.map(({ card, id, port, name, state }): Place => {
    if (state === 'ready') return { card, hot: { id, port } }
    throw new Waiting('ResumeFailed', `interface ${name} was not whole in the guest when it was saved`)
  })
  return [...left, ...(hot ?? [])]
}

/** `before`: what the guest had in another QEMU. undefined: it has no card at all. */
export async function attachCards(
  rooms: CardRooms,
  object: StoredObject,
  before?: StartedMachine,
): Promise<AttachedCards | undefined> {
  const spec = specOf(object)
  const places = before ? placesBefore(spec, before) : coldPlaces(spec)
  const cards = places.map(({ card }) => card)
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
  const cold = network.secondaries.filter(({ name }) => places.some(({ card, hot }) => card.name === name && !hot))
  return {
    netns: network.netns,
    joined: network.joined,
    cards: places.map((place) => {
      const { tap, mac, mtu } = joined.get(place.card.name) ?? network
      return { ...place, tap, mac, mtu }
    }),
    started: {
      network: first && { address: network.address, mac: network.mac },
      cards: before ? coldCards(spec, before) : cards.map(({ name }) => name),
      ...(cold.length && {
        secondaries: cold.map(({ name, mac, podInterface, addresses }) => ({ name, mac, podInterface, addresses })),
      }),
    },
    plugged: (before?.plugged?.cards ?? []).map((plug) => {
      const { name: _, ...where } = joined.get(plug.name)!
      return { ...plug, joined: where }
    }),
  }
}
