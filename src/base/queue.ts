// The work queue of a reconciler: keys, each at most once in work, added late or with back-off when asked.
// Behaviour mirrored from client-go util/workqueue (1.32): a key added while it is in work comes again after `done`.

import { type Clock, realClock, type Timer } from './clock.ts'
import { type BackoffOptions, backoffDelay, workqueueBackoff } from './retry.ts'

export interface QueueOptions {
  clock?: Clock
  backoff?: BackoffOptions
}

export class WorkQueue<K extends string = string> {
  readonly #clock: Clock
  readonly #backoff: BackoffOptions
  /** Waiting to be taken, in order. */
  readonly #ready = new Set<K>()
  readonly #working = new Set<K>()
  /** Added again while in work. */
  readonly #again = new Set<K>()
  readonly #late = new Map<K, { at: number; timer: Timer }>()
  readonly #failures = new Map<K, number>()
  readonly #takers: ((key: K | undefined) => void)[] = []
  #closed = false

  constructor(options: QueueOptions = {}) {
    this.#clock = options.clock ?? realClock
    this.#backoff = { ...workqueueBackoff, ...options.backoff }
  }

  /** Keys that wait to be taken now. */
  get length(): number {
    return this.#ready.size
  }

  /** True when nothing waits, nothing is in work and nothing is due later. */
  get idle(): boolean {
    return !this.#ready.size && !this.#working.size && !this.#late.size
  }

  get closed(): boolean {
    return this.#closed
  }

  add(key: K): void {
    if (this.#closed) return
    if (this.#working.has(key)) {
      this.#again.add(key)
      return
    }
    if (this.#ready.has(key)) return
    const taker = this.#takers.shift()
    if (!taker) {
      this.#ready.add(key)
      return
    }
    this.#working.add(key)
    taker(key)
  }

  /** Adds the key after `ms`; of several delays the earliest counts. */
  addAfter(key: K, ms: number): void {
    if (this.#closed) return
    if (ms <= 0) {
      this.add(key)
      return
    }
    const at = this.#clock.now() + ms
    const waiting = this.#late.get(key)
    if (waiting && waiting.at <= at) return
    waiting?.timer.cancel()
    const timer = this.#clock.after(ms, () => {
      this.#late.delete(key)
      this.add(key)
    })
    this.#late.set(key, { at, timer })
  }

  /** Adds the key after a delay that grows with each failure; returns the delay. `forget` makes it short again. */
  addFailed(key: K): number {
    const failures = this.#failures.get(key) ?? 0
    this.#failures.set(key, failures + 1)
    const delay = backoffDelay(failures, this.#backoff)
    this.addAfter(key, delay)
    return delay
  }

  /** How often the key failed since it was last forgotten. */
  failures(key: K): number {
    return this.#failures.get(key) ?? 0
  }

  forget(key: K): void {
    this.#failures.delete(key)
  }

  /** The next key, in work from now until `done`; waits for one; undefined once the queue is closed. */
  next(): Promise<K | undefined> {
    if (this.#closed) return Promise.resolve(undefined)
    for (const key of this.#ready) {
      this.#ready.delete(key)
      this.#working.add(key)
      return Promise.resolve(key)
    }
    return new Promise((resolve) => this.#takers.push(resolve))
  }

  done(key: K): void {
    this.#working.delete(key)
    if (this.#again.delete(key)) this.add(key)
  }

  /** Nothing is taken or added any more; takers that wait get undefined. */
  close(): void {
    this.#closed = true
    for (const { timer } of this.#late.values()) timer.cancel()
    this.#late.clear()
    this.#ready.clear()
    this.#again.clear()
    for (const taker of this.#takers.splice(0)) taker(undefined)
  }
}
