// Cards that are plugged into a guest while it runs, and taken out, and cables that are pulled: first the machine joins the
// network and gets a tap, then come QEMU's end and the device; out in the other order. Written down before each step.

import type { StoredObject } from '../../api/meta.ts'
import type { ConfList } from '../network/cni.ts'
import type { Network } from '../network/network.ts'
import { note, type PlugProblems, placeFor, pluggedOf, qmpOf, unless, unplug } from './hotplug.ts'
import { type CardStep, cardStep, coldCards, type PluggedCard, plugCardCalls } from './hotplug-card-plan.ts'
import type { Machine } from './machine.ts'
import { type StartedMachine, writeRecord } from './record.ts'
import { specOf, type VmiSpec } from './vmi.ts'
import { Waiting } from './waiting.ts'

export interface CardPlugRooms {
  network: Pick<Network, 'plugMachine' | 'unplugMachine'>
  sources: { network(namespace: string, name: string): Promise<ConfList> }
  tapOwner: number
  /** Tells of a step: something in the status has changed. */
  changed(): void
}

/** Does what is due; what does not succeed is in the answer, by the card's name. */
export async function plugCards(rooms: CardPlugRooms, machine: Machine, object: StoredObject): Promise<PlugProblems> {
  const spec = specOf(object)
  const problems: PlugProblems = new Map()
  const { attach, detach, takeOut } = cardStep(spec, startedOf(machine))
  const attempt = async (name: string, step: () => Promise<void>) => {
    try {
      await step()
    } catch (error) {
      const message = `interface ${name}: ${(error as Error).message}`
      problems.set(name, { reason: error instanceof Waiting ? error.reason : 'SyncFailed', message })
    }
    rooms.changed()
  }
  for (const plugged of detach) await attempt(plugged.name, () => unplugCard(rooms, machine, plugged))
  for (const one of takeOut) await attempt(one.name, () => emptySlot(rooms, machine, spec, one))
  for (const wanted of attach)
    if (!problems.has(wanted.card.name)) await attempt(wanted.card.name, () => plugCard(rooms, machine, object, wanted))
  for (const cable of cardStep(spec, startedOf(machine)).cables)
    await attempt(cable.name, () => setCable(machine, cable))
  return problems
}

function startedOf({ record }: Machine): StartedMachine {
  if (!record.started) throw new Error('the machine does not run')
  return record.started
}

function noteStarted(machine: Machine, change: Partial<StartedMachine>): void {
  machine.record = { ...machine.record, started: { ...startedOf(machine), ...change } }
  writeRecord(machine.directory, machine.record)
}

const noteCards = (machine: Machine, change: (cards: PluggedCard[]) => PluggedCard[]): void =>
  note(machine, (plugged) => ({ ...plugged, cards: change(plugged.cards ?? []) }))

const noteCard = (machine: Machine, id: number, more: Partial<PluggedCard>): void =>
  noteCards(machine, (cards) => cards.map((one) => (one.id === id ? { ...one, ...more } : one)))

async function plugCard(
  rooms: CardPlugRooms,
  machine: Machine,
  object: StoredObject,
  { card, network }: CardStep['attach'][number],
): Promise<void> {
  const spec = specOf(object)
  const { uid, namespace = '', name } = object.metadata
  const conf = await rooms.sources.network(namespace, network)
  // A former Tandem did not note it, and from the spec it cannot be told once there is more in it.
  if (!startedOf(machine).cards) noteStarted(machine, { cards: coldCards(spec, startedOf(machine)) })
  const { next: id } = pluggedOf(machine)
  const plugged: PluggedCard = { name: card.name, id, card, network, port: placeFor(machine, spec), state: 'coming' }
  note(machine, (known) => ({ ...known, next: id + 1, cards: [...(known.cards ?? []), plugged] }))
  try {
    const { name: _, ...joined } = await rooms.network.plugMachine({
      uid,
      namespace,
      name,
      tapOwner: rooms.tapOwner,
      secondary: { name: card.name, conf, mac: card.macAddress?.toLowerCase().replaceAll('-', ':') },
    })
    noteCard(machine, id, { joined })
    rooms.changed()
    const { netdev, device } = plugCardCalls(plugged, joined)
    const qmp = qmpOf(machine)
    await qmp.execute('netdev_add', netdev)
    // Nothing passes before it is known whether anything may.
    if (card.state === 'down') await setCable(machine, { name: card.name, netdev: (netdev as any).id, up: false })
    await qmp.execute('device_add', device)
    if (card.state === 'down') await setCable(machine, { name: card.name, netdev: (netdev as any).id, up: false })
  } catch (error) {
    await unplugCard(rooms, machine, plugged).catch(() => {})
    throw error
  }
  noteCard(machine, id, { state: 'ready' })
}

/** Idempotent: what is not there is not taken out. @throws Waiting while the guest holds on to it */
async function unplugCard(rooms: CardPlugRooms, machine: Machine, { name, id }: PluggedCard): Promise<void> {
  await takeFromGuest(machine, name, `nic${id}-card`, `nic${id}`)
  await rooms.network.unplugMachine(machine.record.uid, name)
  noteCards(machine, (cards) => cards.filter((one) => one.id !== id))
  forgetCable(machine, name)
}

/** A card that the guest was started with. */
async function emptySlot(
  rooms: CardPlugRooms,
  machine: Machine,
  spec: VmiSpec,
  { name, slot }: CardStep['takeOut'][number],
): Promise<void> {
  await takeFromGuest(machine, name, `card${slot.index}`, `net${slot.index}`)
  await rooms.network.unplugMachine(machine.record.uid, name)
  const { secondaries = [] } = startedOf(machine)
  const plugged = pluggedOf(machine)
  noteStarted(machine, {
    cards: coldCards(spec, startedOf(machine)),
    secondaries: secondaries.filter((one) => one.name !== name),
    plugged: { ...plugged, emptied: [...(plugged.emptied ?? []), slot] },
  })
  forgetCable(machine, name)
}

async function takeFromGuest(machine: Machine, name: string, device: string, netdev: string): Promise<void> {
  const qmp = qmpOf(machine)
  await unplug(qmp, device, 'InterfaceDetaching', `interface ${name}`)
  await unless(/not found/, qmp.execute('netdev_del', { id: netdev }))
}

async function setCable(machine: Machine, { name, netdev, up }: CardStep['cables'][number]): Promise<void> {
  await qmpOf(machine).execute('set_link', { name: netdev, up })
  const others = startedOf(machine).linksDown?.filter((one) => one !== name) ?? []
  noteStarted(machine, { linksDown: up ? others : [...others, name] })
}

function forgetCable(machine: Machine, name: string): void {
  const { linksDown } = startedOf(machine)
  if (linksDown?.includes(name)) noteStarted(machine, { linksDown: linksDown.filter((one) => one !== name) })
}

/** Before anybody is told that a machine runs. */
export async function setCables(machine: Machine, spec: VmiSpec): Promise<void> {
  for (const cable of cardStep(spec, startedOf(machine)).cables) await setCable(machine, cable)
}
