// How long to wait before the next try, and trying again until it works.

import { type Clock, realClock } from './clock.ts'

export interface BackoffOptions {
  /** First delay in ms. */
  base?: number
  /** Longest delay in ms. */
  max?: number
  factor?: number
  /** Random share added to each delay, 0..1: keeps many clients from trying at the same moment. */
  jitter?: number
}

/** client-go's per-item limiter: 5 ms doubled at each failure, at most 1000 s (workqueue/default_rate_limiters.go, 1.32). */
export const workqueueBackoff: BackoffOptions = { base: 5, max: 1_000_000, factor: 2, jitter: 0 }

/** Delay before try number `attempt` + 1; the first failure is attempt 0. */
export function backoffDelay(
  attempt: number,
  options: BackoffOptions = {},
  random: () => number = Math.random,
): number {
  const { base = 100, max = 30_000, factor = 2, jitter = 0 } = options
  const delay = Math.min(base * factor ** attempt, max)
  return jitter ? delay * (1 + jitter * random()) : delay
}

export interface RetryOptions extends BackoffOptions {
  /** Tries in all, the first included; default: without end. */
  attempts?: number
  /** False ends the trying at once and throws the error. */
  retryable?: (error: unknown) => boolean
  onRetry?: (error: unknown, delay: number) => void
  signal?: AbortSignal
  clock?: Clock
}

/** Runs `action` until it succeeds, the attempts are used up, the error is not retryable, or the signal is aborted. */
export async function retry<T>(action: (attempt: number) => Promise<T>, options: RetryOptions = {}): Promise<T> {
  const { attempts = Number.POSITIVE_INFINITY, retryable = () => true, clock = realClock, signal } = options
  for (let attempt = 0; ; attempt++) {
    signal?.throwIfAborted()
    try {
      return await action(attempt)
    } catch (error) {
      if (attempt + 1 >= attempts || signal?.aborted || !retryable(error)) throw error
      const delay = backoffDelay(attempt, options)
      options.onRetry?.(error, delay)
      await clock.sleep(delay, signal)
    }
  }
}
