// Forgets old history now and then, as the kube-apiserver does with etcd: what is older than five minutes goes.

import type { Logger } from '../base/log.ts'
import type { Store } from '../store/store.ts'

const everyMs = 300_000

export function compactRegularly(store: Store, log: Logger): { stop(): void } {
  let before = store.compacted()
  const timer = setInterval(() => {
    const revision = before
    before = store.revision()
    store.compact(revision).catch((error) => log.warn('cannot compact the store', { error }))
  }, everyMs)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}
