// Pods that wait for a node: the most important first, of equals the oldest. One that did not fit is parked until
// something changes that could help it, and then not sooner than its back-off says.

import type { StoredObject } from '../api/meta.ts'
import type { Clock, Timer } from '../base/clock.ts'
import { moment } from './moment.ts'
import { priorityOf } from './scheduler-book.ts'

interface Waiting {
  pod: StoredObject
  priority: number
  created: number
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
  /** The active ones as a heap; entries that are not active any more are skipped when they come up. */
  readonly #heap: { key: string; waiting: Waiting }[] = []
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
    this.#activate(key, waitingOf(pod, 0, 0))
    this.#wake()
  }

  #activate(key: string, waiting: Waiting): void {
    this.#active.set(key, waiting)
    push(this.#heap, { key, waiting })
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
    this.#parked.set(key, waitingOf(pod, attempts + 1, this.#clock.now()))
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
      this.#activate(key, waiting)
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
    for (;;) {
      const { key, waiting } = pop(this.#heap)!
      if (this.#active.get(key) !== waiting) continue
      this.#active.delete(key)
      return { key, pod: waiting.pod, attempts: waiting.attempts }
    }
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#wake()
  }
}

const delayOf = (attempts: number): number =>
  attempts <= freeTries ? 0 : Math.min(backoffMs * 2 ** (attempts - freeTries - 1), longestBackoffMs)

const waitingOf = (pod: StoredObject, attempts: number, triedAt: number): Waiting => ({
  pod,
  priority: priorityOf(pod),
  created: moment(pod.metadata.creationTimestamp),
  attempts,
  triedAt,
})

interface HeapEntry {
  key: string
  waiting: Waiting
}

const comesBefore = ({ waiting: a }: HeapEntry, { waiting: b }: HeapEntry): boolean =>
  a.priority !== b.priority ? a.priority > b.priority : a.created < b.created

function push(heap: HeapEntry[], entry: HeapEntry): void {
  let at = heap.length
  heap.push(entry)
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (!comesBefore(entry, heap[parent]!)) break
    heap[at] = heap[parent]!
    at = parent
  }
  heap[at] = entry
}

function pop(heap: HeapEntry[]): HeapEntry | undefined {
  const first = heap[0]
  const last = heap.pop()
  if (!first || !last || heap.length === 0) return first
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && comesBefore(heap[child + 1]!, heap[child]!)) child++
    if (!comesBefore(heap[child]!, last)) break
    heap[at] = heap[child]!
    at = child
  }
  heap[at] = last
  return first
}
