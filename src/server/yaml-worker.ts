// Reads and writes large YAML off the main thread: half a megabyte takes the library half a second.

import { parentPort } from 'node:worker_threads'
import type { ApiError } from '../api/errors.ts'
import { fromYaml } from './body.ts'
import { yaml } from './yaml.ts'

/** YAML to an object, or JSON to YAML. */
export type YamlTask = { read: string } | { write: string }

export interface YamlAnswer {
  id: number
  value?: unknown
  error?: string
}

parentPort!.on('message', ({ id, ...task }: { id: number } & YamlTask) => {
  const answer: YamlAnswer = { id }
  try {
    answer.value = 'read' in task ? fromYaml(task.read).value : yaml().stringify(JSON.parse(task.write))
  } catch (error) {
    answer.error = (error as ApiError).message
  }
  parentPort!.postMessage(answer)
})
