// Runs a task in a thread of its own, so that nothing else of Tandem waits for it.

import { Worker } from 'node:worker_threads'
import { ImportError } from './failure.ts'
import type { ImportMessage } from './import-worker.ts'
import type { Task } from './perform.ts'

export type RunTask = (task: Task, signal: AbortSignal, report: (percent: number) => void) => Promise<void>

const patienceMs = 5_000

export const runInThread: RunTask = (task, signal, report) =>
  new Promise((done, fail) => {
    const worker = new Worker(new URL('./import-worker.ts', import.meta.url), {
      workerData: task,
      // What it holds are chunks of a stream.
      resourceLimits: { maxOldGenerationSizeMb: 256 },
    })
    let end = (): void => fail(new ImportError('the importing thread ended without a word'))
    const cancel = (): void => {
      worker.postMessage('cancel')
      setTimeout(() => void worker.terminate(), patienceMs).unref()
    }
    if (signal.aborted) cancel()
    signal.addEventListener('abort', cancel, { once: true })
    worker.on('message', (message: ImportMessage) => {
      if (message.kind === 'progress') report(message.percent)
      else if (message.kind === 'done') end = done
      else end = () => fail(new ImportError(message.message, { fatal: message.fatal }))
    })
    worker.on('error', (error) => {
      end = () => fail(new ImportError(error.message, { cause: error }))
    })
    worker.on('exit', () => {
      signal.removeEventListener('abort', cancel)
      end()
    })
  })
