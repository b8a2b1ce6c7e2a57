// Pods that wait for a node: the most important first, of equals the oldest. One that did not fit is parked until
// something changes that could help it, and then not sooner than its back-off says.

import type { StoredObject } from '../api/meta.ts'
import type { Clock, Timer } from '../base/clock.ts'
import { moment } from './moment.ts'
import { priorityOf } from './scheduler-book.ts'

interface Waiting {
  pod: StoredObject
  /** Tries that ended without a node. */
  attempts: number
  triedAt: number
}

/** The first tries cost little and come at once; then as upstream (podInitialBackoffSeconds, podMaxBackoffSeconds). */
const freeTries = 2
const backoffMs = 1000
const longestBackoffMs = 10_000

export class SchedulerQueue {
  readonly #clock: Clock
  readonly #active = new Map<string, Waiting>()
  readonly #parked = new Map<string, Waiting>()
  #wake: () => void = () => {}
  #timer: Timer | undefined
  #closed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** New, or changed so that it may fit now. */
  add(key: string, pod: StoredObject): void {
    this.#parked.delete(key)
    this.#active.set(key, { pod, attempts: 0, triedAt: 0 })
    this.#wake()
  }

  /** The same Pod with another status: its place stays. */
  refresh(key: string, pod: StoredObject): boolean {
    const waiting = this.#active.get(key) ?? this.#parked.get(key)
    if (waiting) waiting.pod = pod
    return waiting !== undefined
  }

  remove(key: string): void {
    this.#active.delete(key)
    this.#parked.delete(key)
  }

  /** It did not fit. */
  park(key: string, pod: StoredObject, attempts: number): void {
    if (this.#active.has(key)) return
    this.#parked.set(key, { pod, attempts: attempts + 1, triedAt: this.#clock.now() })
  }

  /** Something happened that may help those parked ones that `may` says. */
  release(may: (pod: StoredObject) => boolean = () => true): void {
    const now = this.#clock.now()
    let next = Number.POSITIVE_INFINITY
    for (const [key, waiting] of this.#parked) {
      if (!may(waiting.pod)) continue
      const at = waiting.triedAt + delayOf(waiting.attempts)
      if (at > now) {
        next = Math.min(next, at)
        continue
      }
      this.#parked.delete(key)
      this.#active.set(key, waiting)
    }
    if (Number.isFinite(next)) this.#later(next - now)
    if (this.#active.size > 0) this.#wake()
  }

  #later(ms: number): void {
    if (this.#timer || this.#closed) return
    this.#timer = this.#clock.after(ms, () => {
      this.#timer = undefined
      this.release()
    })
  }

  /** The next one; waits for it. Undefined when the queue is closed. */
  async next(): Promise<{ key: string; pod: StoredObject; attempts: number } | undefined> {
    while (!this.#closed && this.#active.size === 0)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    if (this.#closed) return undefined
    let best: [string, Waiting] | undefined
    for (const entry of this.#active) if (!best || comesBefore(entry[1].pod, best[1].pod)) best = entry
    const [key, { pod, attempts }] = best!
    this.#active.delete(key)
    return { key, pod, attempts }
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#wake()
  }
}

const delayOf = (attempts: number): number =>
  attempts <= freeTries ? 0 : Math.min(backoffMs * 2 ** (attempts - freeTries - 1), longestBackoffMs)

const comesBefore = (a: StoredObject, b: StoredObject): boolean => {
  const [first, second] = [priorityOf(a), priorityOf(b)]
  if (first !== second) return first > second
  return moment(a.metadata.creationTimestamp) < moment(b.metadata.creationTimestamp)
}
