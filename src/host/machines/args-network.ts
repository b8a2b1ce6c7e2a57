// The network cards of a machine as QEMU options.

import { type OptionValues, option } from './option.ts'
import { isQ35, type MachinePlan, type PreparedCard } from './plan.ts'

const models: Record<string, string> = { virtio: 'virtio-net-pci' }

/** Those that the guest was started with, in the order in which it was: an empty place keeps its port. */
export function networkArgs(plan: MachinePlan): string[] {
  const cards = new Map(plan.cards.flatMap((card, index) => (card.hot ? [] : [[card.slot ?? index, card] as const])))
  const emptied = new Map(plan.emptied?.map(({ index, express }) => [index, express]))
  const last = Math.max(-1, ...cards.keys(), ...emptied.keys())
  return Array.from({ length: last + 1 }, (_, index) => {
    const card = cards.get(index)
    if (card) return cardArgs(isQ35(plan), card, index)
    return emptied.get(index) ? portArgs(index) : []
  }).flat()
}

/** Those that were plugged into it, for the QEMU in which it goes on. */
export const pluggedCardArgs = ({ cards }: MachinePlan): string[] =>
  cards.flatMap((card) => (card.hot ? [...netdevArgs(card), ...deviceArgs(card, card.hot.port)] : []))

/** KubeVirt's names for what sits behind a port of its own. */
export const isExpress = (q35: boolean, model = 'virtio'): boolean => q35 && ['virtio', 'e1000e'].includes(model)

function cardArgs(q35: boolean, card: PreparedCard, index: number): string[] {
  const placed = { ...card, slot: index }
  // KubeVirt's cards sit behind PCIe root ports of their own, in order, so that guests call them enp1s0, enp2s0 …;
  // manifests rely on it. The first port's place is fixed, the others take the next ones that are free.
  const express = isExpress(q35, card.card.model || undefined)
  return [
    ...(express ? portArgs(index) : []),
    ...netdevArgs(placed),
    ...deviceArgs(placed, express ? portOf(index) : undefined),
  ]
}

const portOf = (index: number): string => `port${index + 1}`

const portArgs = (index: number): string[] => [
  '-device',
  option('pcie-root-port', {
    id: portOf(index),
    bus: 'pcie.0',
    chassis: index + 1,
    addr: index === 0 ? '0x2' : undefined,
  }),
]

const netdevArgs = (card: PreparedCard): string[] => ['-netdev', option('tap', tapDevice(card))]

function deviceArgs(card: PreparedCard, bus: string | undefined): string[] {
  const { driver, ...values } = cardDevice(card, bus)
  return ['-device', option(driver, values)]
}

type Placed = Pick<PreparedCard, 'slot' | 'hot'>

const idsOf = ({ slot, hot }: Placed): { netdev: string; device: string } =>
  hot ? { netdev: `nic${hot.id}`, device: `nic${hot.id}-card` } : { netdev: `net${slot}`, device: `card${slot}` }

/** The end of a card that is in this machine's network. */
export const netdevOf = (card: Placed): string => idsOf(card).netdev

export const tapDevice = (card: PreparedCard) => ({
  id: netdevOf(card),
  ifname: card.tap,
  script: 'no',
  downscript: 'no',
})

export function cardDevice(prepared: PreparedCard, bus: string | undefined): { driver: string } & OptionValues {
  const { card, mac, mtu, hot } = prepared
  const { netdev, device } = idsOf(prepared)
  const model = card.model || 'virtio'
  // Nothing boots from what comes later.
  const bootindex = hot ? undefined : card.bootOrder
  return {
    driver: models[model] ?? model,
    id: device,
    netdev,
    mac,
    bus,
    host_mtu: model === 'virtio' && mtu !== 1500 ? mtu : undefined,
    bootindex,
    // Without a boot order the card needs no boot ROM, which costs time at each start.
    romfile: bootindex ? undefined : '',
  }
}
