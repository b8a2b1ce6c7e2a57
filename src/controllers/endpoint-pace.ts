// Large Services are looked at less often: ten thousand Pods that become ready one after the other must not mean ten
// thousand comparisons of ten thousand endpoints. Small ones are never kept waiting (upstream waits up to a second, too).

import type { Clock } from '../base/clock.ts'
import type { ReconcileResult } from '../client/reconciler.ts'

const smallest = 100
const longestMs = 1000
/** Milliseconds for each endpoint. */
const perEndpoint = 0.5

export interface Pace {
  /** What to answer instead of working, when this Service was worked on too recently. */
  tooSoon(key: string): ReconcileResult | undefined
  worked(key: string, endpoints: number): void
  forget(key: string): void
}

export function createPace(clock: Pick<Clock, 'now'>): Pace {
  const next = new Map<string, number>()
  return {
    tooSoon(key) {
      const wait = (next.get(key) ?? 0) - clock.now()
      return wait > 0 ? { requeueAfter: wait } : undefined
    },
    worked(key, endpoints) {
      if (endpoints < smallest) next.delete(key)
      else next.set(key, clock.now() + Math.min(longestMs, endpoints * perEndpoint))
    },
    forget: (key) => void next.delete(key),
  }
}
