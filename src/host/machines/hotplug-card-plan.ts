// Which cards of a machine that runs are to be plugged and unplugged, and whose cable is to be pulled. Pure.

import { equalButState, isPluggable } from '../../kinds/kubevirt/live-networks.ts'
import type { SecondaryNetwork } from '../network/secondary.ts'
import { cardDevice, isExpress, netdevOf, tapDevice } from './args-network.ts'
import { isQ35Type, type PreparedCard } from './plan.ts'
import type { StartedMachine } from './record.ts'
import { type Interface, interfacesOf, type VmiSpec } from './vmi.ts'

/** A card that was plugged into the guest, as it is written down. */
export interface PluggedCard {
  name: string
  /** Tells its things in QEMU from others': network end nic<id>, device nic<id>-card. Never used twice. */
  id: number
  card: Interface
  /** The NetworkAttachmentDefinition that it is on. */
  network: string
  /** The PCIe port that it is behind. */
  port: string
  /** Where it is in the network, once it is. */
  joined?: JoinedCard
  /** Plugged | the guest sees it. */
  state: 'coming' | 'ready'
}

export type JoinedCard = Omit<SecondaryNetwork, 'name'>

/** The place of a card that was taken out of the guest that was started with it. */
export interface EmptySlot {
  index: number
  /** Its port stays. */
  express: boolean
}

export interface CardStep {
  attach: { card: Interface; network: string }[]
  detach: PluggedCard[]
  /** Cards that the guest was started with. */
  takeOut: { name: string; slot: EmptySlot }[]
  /** Network ends whose cable is not as it should be. */
  cables: { name: string; netdev: string; up: boolean }[]
}

const networkOf = (spec: VmiSpec, name: string): string | undefined =>
  spec.networks?.find((one) => one.name === name)?.multus?.networkName

/** The interface of that name, also when it is to go. */
export const cardNamed = (spec: VmiSpec, name: string): Interface | undefined =>
  [...(spec.domain.devices?.interfaces ?? []), ...interfacesOf(spec)].find((one) => one.name === name)

/** The names of the cards that the guest was started with, in order: card0, card1 … */
export function coldCards(spec: VmiSpec, { cards, secondaries = [] }: StartedMachine): string[] {
  // A former Tandem did not write them down, and nothing came or went under it.
  const given = spec.domain.devices?.interfaces?.length ? spec.domain.devices.interfaces : interfacesOf(spec)
  const wasThere = ({ name }: Interface) =>
    networkOf(spec, name) === undefined || secondaries.some((one) => one.name === name)
  return cards ?? given.filter(wasThere).map(({ name }) => name)
}

export interface ColdCard {
  name: string
  index: number
}

/** Those of them that it still has. */
export function cardsLeft(spec: VmiSpec, started: StartedMachine): ColdCard[] {
  const emptied = new Set(started.plugged?.emptied?.map(({ index }) => index))
  return coldCards(spec, started).flatMap((name, index) => (emptied.has(index) ? [] : [{ name, index }]))
}

/** What is to be done so that the cards are what the spec says. */
export function cardStep(spec: VmiSpec, started: StartedMachine): CardStep {
  const { plugged: { cards: hot = [] } = {}, secondaries = [], linksDown = [] } = started
  const left = cardsLeft(spec, started)
  const wanted = interfacesOf(spec).flatMap((card) => {
    const network = networkOf(spec, card.name)
    const isCold = left.some(({ name }) => name === card.name)
    return network !== undefined && !isCold && isPluggable(card, spec.networks ?? []) ? [{ card, network }] : []
  })
  const isIn = (plug: PluggedCard) =>
    plug.state === 'ready' &&
    wanted.some(({ card, network }) => network === plug.network && equalButState(card, plug.card))
  const isWanted = (name: string) => interfacesOf(spec).some((card) => card.name === name)
  const isSecondary = (name: string) => secondaries.some((one) => one.name === name)
  const cables = [
    ...left.map(({ name, index }) => ({ name, netdev: netdevOf({ slot: index }) })),
    ...hot.filter(isIn).map(({ name, id, port }) => ({ name, netdev: netdevOf({ hot: { id, port } }) })),
  ].map((one) => ({ ...one, up: cardNamed(spec, one.name)?.state !== 'down' }))
  return {
    attach: wanted.filter(({ card }) => !hot.some((plug) => plug.name === card.name && isIn(plug))),
    detach: hot.filter((plug) => !isIn(plug)),
    takeOut: left
      .filter(({ name }) => isSecondary(name) && !isWanted(name))
      .map(({ name, index }) => ({ name, slot: slotOf(spec, name, index) })),
    cables: cables.filter(({ name, up }) => isWanted(name) && linksDown.includes(name) === up),
  }
}

const slotOf = (spec: VmiSpec, name: string, index: number): EmptySlot => ({
  index,
  express: isExpress(isQ35Type(spec.domain.machine?.type), cardNamed(spec, name)?.model),
})

export function isCardDue(spec: VmiSpec, started: StartedMachine | undefined): boolean {
  if (!started) return false
  return Object.values(cardStep(spec, started)).some((list) => list.length > 0)
}

/** As start.ts wants it for a QEMU in which the guest goes on. */
export const preparedPlug = (
  { card, id, port }: PluggedCard,
  { tap, mac, mtu }: Pick<PreparedCard, 'tap' | 'mac' | 'mtu'>,
): PreparedCard => ({ card, tap, mac, mtu, hot: { id, port } })

/** The arguments of netdev_add and device_add. */
export function plugCardCalls(plug: PluggedCard, joined: JoinedCard): { netdev: object; device: object } {
  const prepared = preparedPlug(plug, joined)
  const { driver, ...values } = cardDevice(prepared, plug.port)
  return {
    netdev: { type: 'tap', ...tapDevice(prepared) },
    device: JSON.parse(JSON.stringify({ driver, ...values })),
  }
}
