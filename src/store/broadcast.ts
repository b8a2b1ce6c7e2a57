// From one commit to every open watch. Watches of one prefix share the filtering.

import type { StoreEvent, Watch } from './store.ts'

export interface Broadcast {
  add(prefix: string, listener: (events: StoreEvent[]) => void): Watch
  send(events: StoreEvent[]): void
}

export function createBroadcast(): Broadcast {
  const byPrefix = new Map<string, Set<(events: StoreEvent[]) => void>>()
  return {
    add(prefix, listener) {
      const listeners = byPrefix.get(prefix) ?? new Set()
      byPrefix.set(prefix, listeners)
      // A wrapper of its own, so that the same function may watch twice.
      const own = (events: StoreEvent[]) => listener(events)
      listeners.add(own)
      return {
        close() {
          listeners.delete(own)
          if (listeners.size === 0 && byPrefix.get(prefix) === listeners) byPrefix.delete(prefix)
        },
      }
    },
    send(events) {
      for (const [prefix, listeners] of [...byPrefix]) {
        const matching = events.filter((event) => event.key.startsWith(prefix))
        if (matching.length === 0) continue
        for (const listener of [...listeners]) if (listeners.has(listener)) listener(matching)
      }
    },
  }
}
