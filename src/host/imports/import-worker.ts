// The thread that imports: gets one task, tells how far it is, and how it ended.

import { parentPort, workerData } from 'node:worker_threads'
import { ImportError } from './failure.ts'
import { perform, type Task } from './perform.ts'

export type ImportMessage =
  | { kind: 'progress'; percent: number }
  | { kind: 'done' }
  | { kind: 'failed'; message: string; fatal: boolean }

const ending = new AbortController()
parentPort!.on('message', () => ending.abort(new ImportError('the import was cancelled')))

const tell = (message: ImportMessage): void => parentPort!.postMessage(message)

let told = 0
const report = (percent: number): void => {
  const now = Date.now()
  if (now - told < 500) return
  told = now
  tell({ kind: 'progress', percent })
}

try {
  await perform(workerData as Task, ending.signal, report)
  tell({ kind: 'done' })
} catch (error) {
  tell({ kind: 'failed', message: (error as Error).message, fatal: error instanceof ImportError && error.fatal })
}
parentPort!.close()
