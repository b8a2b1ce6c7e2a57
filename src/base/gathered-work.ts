// One piece of work for many changes: it runs shortly after the first of them, never twice at once, and again later when
// it failed.

export interface GatheredWorkOptions {
  work(): Promise<void>
  /** Is told of a failure; the work is tried again by itself. */
  failed(error: unknown): void
  /** Changes that come this soon after each other are one. */
  settleMs?: number
  retryMs?: number
}

export interface GatheredWork {
  /** The work runs soon. */
  soon(): void
  /** The work runs after the time of a retry, if nothing else has it run before. */
  later(): void
  /** Nothing new begins; waits for what runs. */
  stop(): Promise<void>
}

export function gatherWork({ work, failed, settleMs = 10, retryMs = 10_000 }: GatheredWorkOptions): GatheredWork {
  let timer: NodeJS.Timeout | undefined
  let due = 0
  let stopped = false
  let working: Promise<void> = Promise.resolve()

  const run = async () => {
    if (!stopped) await work()
  }

  function schedule(afterMs: number): void {
    const at = performance.now() + afterMs
    // A change does not wait for the next try of something else.
    if (stopped || (timer && due <= at)) return
    clearTimeout(timer)
    due = at
    timer = setTimeout(() => {
      timer = undefined
      working = working.then(run).catch((error) => {
        failed(error)
        schedule(retryMs)
      })
    }, afterMs)
    timer.unref()
  }

  return {
    soon: () => schedule(settleMs),
    later: () => schedule(retryMs),
    async stop() {
      stopped = true
      clearTimeout(timer)
      await working
    },
  }
}
