// The loop of every controller: takes keys from a work queue and reconciles them, one key never twice at once.

import { isApiError } from '../api/errors.ts'
import { type Clock, realClock } from '../base/clock.ts'
import { type Logger, silentLogger } from '../base/log.ts'
import { WorkQueue } from '../base/queue.ts'
import type { Reconcile, Reconciler } from './reconciler.ts'

export interface ReconcilerOptions {
  /** Shown in the log. */
  name: string
  reconcile: Reconcile
  clock?: Clock
  log?: Logger
  /** Keys in work at once; default 4. */
  concurrency?: number
}

/** A key that keeps failing is tried at least this often. */
const longestBackoff = 60_000

export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { name, reconcile, clock = realClock, concurrency = 4 } = options
  const log = (options.log ?? silentLogger).child(name)
  const queue = new WorkQueue({ clock, backoff: { max: longestBackoff } })
  let workers: Promise<void>[] = []

  async function work(): Promise<void> {
    for (let key = await queue.next(); key !== undefined; key = await queue.next()) {
      await once(key)
      queue.done(key)
    }
  }

  async function once(key: string): Promise<void> {
    try {
      const result = await reconcile(key)
      queue.forget(key)
      if (result?.requeueAfter !== undefined) queue.addAfter(key, result.requeueAfter)
    } catch (error) {
      const delay = queue.addFailed(key)
      // Somebody wrote in between: the next try reads the newer object. Not worth a line of the log.
      const level = isApiError(error, 'Conflict') ? 'debug' : 'warn'
      log[level]('reconcile failed, trying again', { key, error, delay })
    }
  }

  return {
    enqueue: (key, afterMs = 0) => queue.addAfter(key, afterMs),
    start: () => {
      if (workers.length === 0) workers = Array.from({ length: concurrency }, work)
    },
    stop: async () => {
      queue.close()
      await Promise.all(workers)
    },
  }
}
