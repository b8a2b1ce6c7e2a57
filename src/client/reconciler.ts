// The loop of every controller and of the host: a key whose object changed is reconciled; one key never twice at once;
// an error is tried again with back-off.

import { isApiError } from '../api/errors.ts'
import { type Clock, realClock } from '../base/clock.ts'
import { type Logger, silentLogger } from '../base/log.ts'
import { WorkQueue } from '../base/queue.ts'

export interface ReconcileResult {
  /** Come back after this many milliseconds even if nothing changes. */
  requeueAfter?: number
}

// biome-ignore lint/suspicious/noConfusingVoidType: a reconcile that has nothing to say returns nothing
export type Reconcile = (key: string) => Promise<ReconcileResult | void>

export interface Reconciler {
  enqueue(key: string, afterMs?: number): void
  start(): void
  /** Resolves when the running reconciles have ended. */
  stop(): Promise<void>
}

export interface ReconcilerOptions {
  /** Shown in the log. */
  name: string
  reconcile: Reconcile
  clock?: Clock
  log?: Logger
  /** Keys in work at once; default 4. */
  concurrency?: number
}

/** How many keys may be reconciled before timers and sockets have their turn. */
const turnEvery = 100

/** A key that keeps failing is tried at least this often. */
const longestBackoff = 60_000

export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { name, reconcile, clock = realClock, concurrency = 4 } = options
  const log = (options.log ?? silentLogger).child(name)
  const queue = new WorkQueue({ clock, backoff: { max: longestBackoff } })
  let workers: Promise<void>[] = []

  let done = 0
  async function work(): Promise<void> {
    for (let key = await queue.next(); key !== undefined; key = await queue.next()) {
      await once(key)
      queue.done(key)
      // Over a transport in this process and a store in memory nothing ever waits: others get their turn all the same.
      if (++done % turnEvery === 0) await new Promise((resolve) => setTimeout(resolve))
    }
  }

  async function once(key: string): Promise<void> {
    try {
      const result = await reconcile(key)
      queue.forget(key)
      if (result?.requeueAfter !== undefined) queue.addAfter(key, result.requeueAfter)
    } catch (error) {
      const delay = queue.addFailed(key)
      // Somebody wrote or removed in between: the next try reads what is there now. Not worth a line of the log.
      const overtaken = isApiError(error, 'Conflict') || (isApiError(error, 'NotFound') && queue.failures(key) === 1)
      const level = overtaken ? 'debug' : 'warn'
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
