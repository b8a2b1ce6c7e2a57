// Longer and longer waits after failures, by key. Numbers mirrored from the kubelet (container restarts and image pulls:
// 10 s doubling to 5 min, forgotten after 10 min without failure; client-go util/flowcontrol/backoff.go, 1.32).

export interface Backoff {
  /** Milliseconds that the key has to wait at `now` after a failure at `failedAt`; 0 = go ahead. */
  remaining(key: string, failedAt: number, now: number): number
  /** The wait that applies to the key now. */
  delay(key: string): number
  /** Counts one more failure. */
  next(key: string, failedAt: number, now: number): void
  forget(prefix: string): void
}

export function createBackoff(initialMs = 10_000, maxMs = 300_000): Backoff {
  const entries = new Map<string, { delay: number; updated: number }>()
  const expired = (entry: { updated: number }, at: number) => at - entry.updated > 2 * maxMs
  return {
    remaining(key, failedAt, now) {
      const entry = entries.get(key)
      if (!entry || expired(entry, failedAt)) return 0
      return Math.max(failedAt + entry.delay - now, 0)
    },
    delay: (key) => entries.get(key)?.delay ?? 0,
    next(key, failedAt, now) {
      const entry = entries.get(key)
      const fresh = !entry || expired(entry, failedAt)
      entries.set(key, { delay: fresh ? initialMs : Math.min(entry.delay * 2, maxMs), updated: now })
    },
    forget(prefix) {
      for (const key of entries.keys()) if (key.startsWith(prefix)) entries.delete(key)
    },
  }
}
