// Changes of a machine that runs: what its spec wants and what QEMU has are compared at each sync, and what is due is done
// beside it, one thing after the other.

import type { StoredObject } from '../../api/meta.ts'
import { backoffDelay } from '../../base/retry.ts'
import type { Volumes } from '../volumes/volumes.ts'
import { type PlugProblems, plugDisks, pluggedOf } from './hotplug.ts'
import { isCardDue } from './hotplug-card-plan.ts'
import { type CardPlugRooms, plugCards } from './hotplug-cards.ts'
import { isPlugDue } from './hotplug-plan.ts'
import type { Machine, Observer } from './machine.ts'
import { isResizeDue, lookAtMemory, resize } from './resize.ts'
import { isDiskResizeDue, resizeDisks } from './resize-disk.ts'
import { limit } from './start.ts'
import { specOf } from './vmi.ts'

export interface AdjustRooms {
  instance: string
  volumes: Volumes
  network: CardPlugRooms['network']
  sources: CardPlugRooms['sources']
  observer: Observer
  now: () => number
  ownUsers?: boolean
  record(object: StoredObject, type: 'Normal' | 'Warning', reason: string, message: string): void
}

const retryBackoff = { base: 500, max: 15_000, factor: 2 }

/** Starts what is due, when nothing of it is under way. */
export function adjust(rooms: AdjustRooms, machine: Machine, object: StoredObject): void {
  const { qmp, adjusting, saving, migration, runState } = machine
  if (!qmp || adjusting || saving || migration?.isOver === false || runState === 'inmigrate') return
  if (!isDue(machine, object)) {
    machine.adjustFailures = 0
    machine.adjustAt = 0
    machine.cardProblems = undefined
    return
  }
  if (rooms.now() < machine.adjustAt) return
  machine.adjusting = work(rooms, machine, object)
    .catch((error) => {
      rooms.observer.log.warn('cannot change a machine', { machine: machine.record.name, error })
      return true
    })
    .then((failed) => {
      machine.adjusting = undefined
      machine.adjustAt = failed ? rooms.now() + backoffDelay(machine.adjustFailures++, retryBackoff) : 0
      rooms.observer.changed(machine.record.uid)
    })
}

/** When to look again, in ms from now; undefined when nothing is waited for. */
export const adjustIn = (machine: Machine, now: number): number | undefined =>
  machine.adjustAt ? Math.max(100, machine.adjustAt - now) : undefined

const isDue = (machine: Machine, object: StoredObject): boolean =>
  isPlugDue(specOf(object), pluggedOf(machine)) ||
  isCardDue(specOf(object), machine.record.started) ||
  isResizeDue(specOf(object), machine.record.started) ||
  isDiskResizeDue(object, machine.record.started) ||
  machine.memoryMoved === true

/** True when something did not succeed. */
async function work(rooms: AdjustRooms, machine: Machine, object: StoredObject): Promise<boolean> {
  const { user, uid } = machine.record
  const { volumes, network, sources, observer } = rooms
  const owner = rooms.ownUsers === false || user === undefined ? undefined : { uid: user, gid: user }
  const hotplug = {
    volumes,
    owner,
    changed: () => observer.changed(uid),
    event: (type: 'Normal' | 'Warning', reason: string, message: string) => rooms.record(object, type, reason, message),
  }
  const limitAgain = () => limit({ instance: rooms.instance, log: observer.log }, machine, object)
  machine.plugProblems = await plugDisks(hotplug, machine, object)
  const cards = { network, sources, tapOwner: owner?.uid ?? 0, changed: hotplug.changed }
  const known = machine.cardProblems
  machine.cardProblems = await plugCards(cards, machine, object)
  tellOnce(hotplug.event, known, machine.cardProblems)
  machine.resizeProblems = await resize(machine, specOf(object), limitAgain)
  await resizeDisks(volumes, machine, object, hotplug.event)
  machine.memoryMoved = false
  await lookAtMemory(machine, limitAgain)
  return [machine.plugProblems.size, machine.cardProblems.size, machine.resizeProblems.length].some(
    (count) => count > 0,
  )
}

/** What is tried again and again is told when it is new. */
function tellOnce(
  event: (type: 'Warning', reason: string, message: string) => void,
  before: PlugProblems | undefined,
  problems: PlugProblems,
): void {
  for (const [name, { reason, message }] of problems)
    if (before?.get(name)?.message !== message) event('Warning', reason, message)
}
