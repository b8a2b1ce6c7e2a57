// Forgets old history, as the kube-apiserver does with etcd: each state is kept for five minutes, and goes within the
// sixth. (Upstream's five-minute rounds let it go between the fifth and the tenth.)

import type { Logger } from '../base/log.ts'
import type { Store } from '../store/store.ts'

const everyMs = 60_000
const roundsKept = 5

export function compactRegularly(store: Store, log: Logger): { stop(): void } {
  // The revisions of the last rounds, the oldest first.
  const marks = [store.revision()]
  const timer = setInterval(() => {
    marks.push(store.revision())
    if (marks.length <= roundsKept) return
    const revision = marks.shift()!
    if (revision <= store.compacted()) return
    store.compact(revision).catch((error) => log.warn('cannot compact the store', { error }))
  }, everyMs)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}
