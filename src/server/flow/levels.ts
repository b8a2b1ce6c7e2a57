// Priority levels at work: seats for requests, and queues for those that find none. A flow has a hand of queues, so that one
// that floods its queues leaves others to the rest (shuffle sharding); queues take turns. A level may use seats that
// others do not need and lend (apiserver/pkg/util/flowcontrol, 1.36).

import type { ApiObject } from '../../api/meta.ts'

/** Upstream's --max-requests-inflight and --max-mutating-requests-inflight together. */
export const allSeats = 600

export type Rejection = 'queue-full' | 'concurrency-limit' | 'time-out'

interface Waiter {
  flow: string
  start(): void
}

export interface Level {
  name: string
  uid: string
  isExempt: boolean
  /** Seats that are its own. */
  nominal: number
  /** Of those, how many others may use while it does not. */
  lendable: number
  /** How many of others' it may use. */
  mayBorrow: number
  queues: Waiter[][]
  handSize: number
  queueLength: number
  /** Whose turn it is. */
  turn: number
  executing: number
  waiting: number
  dispatched: number
  rejected: Record<Rejection, number>
}

export interface Levels {
  get(name: string): Level | undefined
  all(): Level[]
  /** Takes the levels as they are written now; what is in work stays. */
  configure(objects: readonly ApiObject[]): void
  /** True when the request may start now; else a promise, of true when its turn comes. */
  enter(level: Level, flow: string, patience: number): true | Rejection | Promise<true | Rejection>
  leave(level: Level): void
}

const fresh = (name: string): Level => ({
  name,
  uid: '',
  isExempt: false,
  nominal: 0,
  lendable: 0,
  mayBorrow: 0,
  queues: [],
  handSize: 0,
  queueLength: 0,
  turn: 0,
  executing: 0,
  waiting: 0,
  dispatched: 0,
  rejected: { 'queue-full': 0, 'concurrency-limit': 0, 'time-out': 0 },
})

const sharesOf = ({ spec }: ApiObject): number => (spec?.limited ?? spec?.exempt)?.nominalConcurrencyShares ?? 0

function configureLevel(level: Level, object: ApiObject, allShares: number): void {
  const { spec, metadata } = object
  const part = spec?.limited ?? spec?.exempt ?? {}
  level.uid = metadata.uid ?? ''
  level.isExempt = spec?.type === 'Exempt'
  level.nominal = Math.ceil((allSeats * sharesOf(object)) / Math.max(allShares, 1))
  level.lendable = Math.round((level.nominal * (part.lendablePercent ?? 0)) / 100)
  level.mayBorrow =
    part.borrowingLimitPercent === undefined
      ? Number.POSITIVE_INFINITY
      : Math.round((level.nominal * part.borrowingLimitPercent) / 100)
  const queuing = spec?.limited?.limitResponse?.queuing
  level.handSize = queuing?.handSize ?? 0
  level.queueLength = queuing?.queueLengthLimit ?? 0
  const count = queuing?.queues ?? 0
  if (level.queues.length === count) return
  // Those that wait keep their order, in the queues that there are now.
  const waiting = level.queues.flat()
  level.queues = Array.from({ length: count || (waiting.length > 0 ? 1 : 0) }, () => [])
  for (const [index, waiter] of waiting.entries()) level.queues[index % level.queues.length]!.push(waiter)
  level.turn = 0
}

/** FNV-1a: spreads the names of flows over the queues. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193) >>> 0
  return value
}

/** The queues that a flow may use: the same ones each time, different ones for most other flows. */
export function handOf(flow: string, deck: number, handSize: number): number[] {
  const hand: number[] = []
  let state = hash(flow) || 1
  while (hand.length < Math.min(handSize, deck)) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    let card = Math.floor((state / 2 ** 32) * deck)
    while (hand.includes(card)) card = (card + 1) % deck
    hand.push(card)
  }
  return hand
}

export function createLevels(): Levels {
  const levels = new Map<string, Level>()

  /** Seats of other levels that nobody uses and that may be lent. */
  function borrowable(level: Level): number {
    let free = 0
    for (const other of levels.values()) {
      if (other !== level) free += Math.max(0, Math.min(other.lendable, other.nominal - other.executing))
      if (!other.isExempt) free -= Math.max(0, other.executing - other.nominal)
    }
    return free
  }

  function hasSeat(level: Level): boolean {
    if (level.executing < level.nominal) return true
    return level.executing - level.nominal < level.mayBorrow && borrowable(level) > 0
  }

  function dispatch(level: Level): void {
    while (level.waiting > 0 && hasSeat(level)) {
      const count = level.queues.length
      let offset = 0
      while (offset < count && level.queues[(level.turn + offset) % count]!.length === 0) offset++
      const index = (level.turn + offset) % count
      const waiter = level.queues[index]!.shift()!
      level.turn = (index + 1) % count
      level.waiting--
      take(level)
      waiter.start()
    }
  }

  function take(level: Level): void {
    level.executing++
    level.dispatched++
  }

  function reject(level: Level, reason: Rejection): Rejection {
    level.rejected[reason]++
    return reason
  }

  function wait(level: Level, flow: string, patience: number): Rejection | Promise<true | Rejection> {
    if (level.queues.length === 0) return reject(level, 'concurrency-limit')
    const hand = handOf(flow, level.queues.length, level.handSize || 1)
    const queue = hand.map((index) => level.queues[index]!).reduce((a, b) => (b.length < a.length ? b : a))
    if (queue.length >= level.queueLength) return reject(level, 'queue-full')
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        const place = level.queues.find((one) => one.includes(waiter))
        if (!place) return
        place.splice(place.indexOf(waiter), 1)
        level.waiting--
        resolve(reject(level, 'time-out'))
      }, patience)
      timer.unref()
      const waiter: Waiter = {
        flow,
        start() {
          clearTimeout(timer)
          resolve(true)
        },
      }
      queue.push(waiter)
      level.waiting++
    })
  }

  return {
    get: (name) => levels.get(name),
    all: () => [...levels.values()],
    configure(objects) {
      const allShares = objects.reduce((sum, object) => sum + sharesOf(object), 0)
      const names = new Set(objects.map((object) => object.metadata.name))
      for (const name of levels.keys()) if (!names.has(name)) levels.delete(name)
      for (const object of objects) {
        const name = object.metadata.name ?? ''
        const level = levels.get(name) ?? fresh(name)
        levels.set(name, level)
        configureLevel(level, object, allShares)
      }
      for (const level of levels.values()) dispatch(level)
    },
    enter(level, flow, patience) {
      if (level.isExempt || (level.waiting === 0 && hasSeat(level))) {
        take(level)
        return true
      }
      return wait(level, flow, patience)
    },
    leave(level) {
      level.executing--
      if (level.waiting > 0) dispatch(level)
      // A seat that this one lends may be what another waits for.
      for (const other of levels.values()) if (other !== level && other.waiting > 0) dispatch(other)
    },
  }
}
