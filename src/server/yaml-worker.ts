// Reads large YAML off the main thread: half a megabyte takes the library half a second.

import { parentPort } from 'node:worker_threads'
import type { ApiError } from '../api/errors.ts'
import { fromYaml } from './body.ts'

export interface YamlAnswer {
  id: number
  value?: unknown
  error?: string
}

parentPort!.on('message', ({ id, text }: { id: number; text: string }) => {
  const answer: YamlAnswer = { id }
  try {
    answer.value = fromYaml(text).value
  } catch (error) {
    answer.error = (error as ApiError).message
  }
  parentPort!.postMessage(answer)
})
