// The events of one watch between the store, which never waits, and a reader, who may. A reader that falls too far
// behind loses the watch, not its events: it lists again and goes on.

import type { WatchEvent } from '../../api/exchange.ts'

export interface EventQueue extends AsyncIterable<WatchEvent> {
  push(event: WatchEvent): void
  /** From now on a reader may be only `limit` events further behind than now: what it starts with does not count. */
  bound(limit: number): void
  /** No more events; those in the queue are still read. */
  end(): void
  /** Everything that waits now, at once: lets the network edge write them together. */
  takeAll(): WatchEvent[]
}

export function createEventQueue(closed: () => void): EventQueue {
  let limit = Number.POSITIVE_INFINITY
  let waiting: WatchEvent[] = []
  let wake: (() => void) | undefined
  let ended = false

  function end(): void {
    if (ended) return
    ended = true
    wake?.()
    closed()
  }

  const next = async (): Promise<IteratorResult<WatchEvent>> => {
    for (;;) {
      const event = waiting.shift()
      if (event) return { value: event, done: false }
      if (ended) return { value: undefined, done: true }
      await new Promise<void>((resolve) => {
        wake = resolve
      })
      wake = undefined
    }
  }

  return {
    push(event) {
      if (ended) return
      waiting.push(event)
      if (waiting.length > limit) end()
      wake?.()
    },
    bound(more) {
      limit = waiting.length + more
    },
    end,
    takeAll() {
      const all = waiting
      waiting = []
      return all
    },
    [Symbol.asyncIterator]: () => ({
      next,
      async return() {
        waiting = []
        end()
        return { value: undefined, done: true }
      },
    }),
  }
}
