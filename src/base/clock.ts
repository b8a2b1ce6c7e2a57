// Time as a thing that is handed in: the real one, and one for tests that moves only when told to.

export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Milliseconds since 1970, as Date.now() gives them. */
  now(): number
  /** Calls `action` once after `ms`. */
  after(ms: number, action: () => void): Timer
  /** Resolves after `ms`; rejects with the signal's reason when it is aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** Longest delay that setTimeout takes; a longer one would fire at once. */
const longest = 2 ** 31 - 1

export const realClock: Clock = {
  now: () => Date.now(),
  after: startTimer,
  sleep: (ms, signal) => sleepOn(realClock, ms, signal),
}

function startTimer(ms: number, action: () => void): Timer {
  let handle: ReturnType<typeof setTimeout>
  const arm = (rest: number) => {
    handle = setTimeout(() => (rest > longest ? arm(rest - longest) : action()), Math.min(Math.max(rest, 0), longest))
  }
  arm(ms)
  return { cancel: () => clearTimeout(handle) }
}

function sleepOn(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const onAbort = () => {
      timer.cancel()
      reject(signal?.reason)
    }
    const timer = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

/** A clock for tests: `advance` runs every timer that falls due, in order, and lets the promises between them settle. */
export class FakeClock implements Clock {
  #now: number
  #timers = new Set<{ at: number; order: number; action: () => void }>()
  #order = 0

  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  after(ms: number, action: () => void): Timer {
    const timer = { at: this.#now + Math.max(ms, 0), order: this.#order++, action }
    this.#timers.add(timer)
    return { cancel: () => this.#timers.delete(timer) }
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal)
  }

  /** How many timers wait. */
  get pending(): number {
    return this.#timers.size
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    await settle()
    for (;;) {
      const due = [...this.#timers]
        .filter((timer) => timer.at <= end)
        .sort((a, b) => a.at - b.at || a.order - b.order)[0]
      if (!due) break
      this.#timers.delete(due)
      this.#now = Math.max(this.#now, due.at)
      due.action()
      await settle()
    }
    this.#now = end
    await settle()
  }
}

/** Lets promise chains of ordinary length run to their end without a real timer. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve()
}
