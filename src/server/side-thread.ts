// Functions in a worker thread, for work that would keep everybody waiting or whose library the main thread need not hold.
// The thread starts with the first call and ends when it had nothing to do for a while.

import { parentPort, Worker } from 'node:worker_threads'

const idleMs = 30_000

export type Work = Record<string, (...args: any[]) => unknown>

export interface SideThread<Functions extends Work> {
  /** Arguments and results are copied. @throws Error with the function's own message */
  call<Name extends keyof Functions & string>(
    name: Name,
    ...args: Parameters<Functions[Name]>
  ): Promise<Awaited<ReturnType<Functions[Name]>>>
}

export interface SideThreadOptions {
  /** A call that takes longer ends the thread, as nothing else stops it. */
  patienceMs: number
  /** What its caller gets then. */
  tooLong: () => Error
}

interface Call {
  id: number
  name: string
  args: unknown[]
}

interface Answer {
  id: number
  value?: unknown
  error?: string
}

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

interface Thread {
  worker: Worker
  waiting: Map<number, Waiting>
}

/** @param script a module that gives `answerCalls` its functions */
export function sideThread<Functions extends Work>(script: URL, options: SideThreadOptions): SideThread<Functions> {
  let thread: Thread | undefined
  let idle: NodeJS.Timeout | undefined
  let nextId = 1

  function start(): Thread {
    const worker = new Worker(script)
    const waiting = new Map<number, Waiting>()
    worker.on('message', ({ id, value, error }: Answer) => {
      const one = waiting.get(id)
      if (error === undefined) one?.resolve(value)
      else one?.reject(new Error(error))
    })
    worker.on('error', end)
    // Last, as listening holds the process; a call that waits holds it by its own timer.
    worker.unref()
    return { worker, waiting }
  }

  function end(error: Error): void {
    const ended = thread
    thread = undefined
    void ended?.worker.terminate()
    for (const one of ended?.waiting.values() ?? []) one.reject(error)
  }

  function rest(): void {
    idle = setTimeout(() => end(new Error('the thread has ended')), idleMs)
    idle.unref()
  }

  return {
    call(name, ...args) {
      thread ??= start()
      const { worker, waiting } = thread
      const id = nextId++
      clearTimeout(idle)
      return new Promise((resolve, reject) => {
        const giveUp = setTimeout(() => end(options.tooLong()), options.patienceMs)
        const settle =
          <T>(then: (result: T) => void) =>
          (result: T) => {
            clearTimeout(giveUp)
            waiting.delete(id)
            if (waiting.size === 0) rest()
            then(result)
          }
        waiting.set(id, { resolve: settle(resolve) as Waiting['resolve'], reject: settle(reject) })
        worker.postMessage({ id, name, args } satisfies Call)
      })
    },
  }
}

/** Of the thread itself: does what it is called for. */
export function answerCalls(work: Work): void {
  parentPort!.on('message', async ({ id, name, args }: Call) => {
    const answer: Answer = { id }
    try {
      answer.value = await work[name]!(...args)
    } catch (error) {
      answer.error = (error as Error).message
    }
    parentPort!.postMessage(answer)
  })
}
