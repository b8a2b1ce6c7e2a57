// A request whose body is YAML of some size gets it read by a worker thread, so that nobody else waits for it. kubectl
// sends JSON whatever the file was; this is for those who do not.

import { Worker } from 'node:worker_threads'
import type { ApiRequest } from '../api/exchange.ts'
import { isBytes, mediaType } from './body.ts'
import { badRequest } from './call.ts'
import type { YamlAnswer } from './yaml-worker.ts'

/** Bytes of YAML that the main thread reads itself, in some ten milliseconds. */
const smallEnough = 16 * 1024
/** A document that keeps the thread longer is refused, and the thread ended. */
const patienceMs = 10_000
const idleMs = 30_000

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

interface Reader {
  worker: Worker
  waiting: Map<number, Waiting>
}

let reader: Reader | undefined
let idle: NodeJS.Timeout | undefined
let nextId = 1

/** Whether `readLargeYaml` is for this request. */
export function hasLargeYaml({ body, headers }: ApiRequest): boolean {
  if (!isBytes(body) || body.length <= smallEnough) return false
  const type = mediaType(headers['content-type'])
  if (type !== 'application/yaml' && !type.endsWith('+yaml')) return false
  // JSON under the name of YAML, as kubectl sends it.
  const first = body.find((byte) => byte > 0x20)
  return first !== 0x7b && first !== 0x5b
}

/** The request with its body read. @throws ApiError BadRequest */
export async function readLargeYaml(request: ApiRequest): Promise<ApiRequest> {
  const body = request.body as Uint8Array
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')
  return { ...request, body: (await ask(text)) as object }
}

function ask(text: string): Promise<unknown> {
  reader ??= start()
  const { worker, waiting } = reader
  const id = nextId++
  clearTimeout(idle)
  return new Promise((resolve, reject) => {
    const giveUp = setTimeout(() => {
      end(badRequest(`the object provided takes over ${patienceMs / 1000} s to read as YAML: send it as JSON`))
    }, patienceMs)
    const settle =
      <T>(then: (result: T) => void) =>
      (result: T) => {
        clearTimeout(giveUp)
        waiting.delete(id)
        if (waiting.size === 0) rest()
        then(result)
      }
    waiting.set(id, { resolve: settle(resolve), reject: settle(reject) })
    worker.postMessage({ id, text })
  })
}

function start(): Reader {
  const worker = new Worker(new URL('./yaml-worker.ts', import.meta.url))
  const waiting = new Map<number, Waiting>()
  worker.unref()
  worker.on('message', ({ id, value, error }: YamlAnswer) => {
    const one = waiting.get(id)
    if (error === undefined) one?.resolve(value)
    else one?.reject(badRequest(error))
  })
  worker.on('error', (error) => end(badRequest(`the object provided cannot be read: ${error.message}`)))
  return { worker, waiting }
}

function rest(): void {
  idle = setTimeout(() => end(), idleMs)
  idle.unref()
}

function end(error?: Error): void {
  const ended = reader
  reader = undefined
  void ended?.worker.terminate()
  for (const one of ended?.waiting.values() ?? []) one.reject(error ?? new Error('the reader of YAML has ended'))
}
