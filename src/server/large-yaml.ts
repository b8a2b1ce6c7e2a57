// YAML of some size is read and written by a worker thread, so that nobody else waits for it. kubectl sends and takes JSON
// whatever the file was; this is for those who do not.

import { Worker } from 'node:worker_threads'
import type { ApiRequest } from '../api/exchange.ts'
import { isBytes, mediaType } from './body.ts'
import { badRequest } from './call.ts'
import { yaml } from './yaml.ts'
import type { YamlAnswer, YamlTask } from './yaml-worker.ts'

/** Bytes of YAML that the main thread reads itself, in some ten milliseconds; of JSON that it writes as YAML. */
const smallEnough = 16 * 1024
/** A document that keeps the thread longer is refused, and the thread ended. */
const patienceMs = 10_000
const idleMs = 30_000

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

interface Thread {
  worker: Worker
  waiting: Map<number, Waiting>
}

let thread: Thread | undefined
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
  return { ...request, body: (await ask({ read: text })) as object }
}

/** JSON as YAML. @throws ApiError BadRequest when it takes too long */
export async function yamlOf(json: string): Promise<string> {
  return json.length <= smallEnough ? yaml().stringify(JSON.parse(json)) : ((await ask({ write: json })) as string)
}

function ask(task: YamlTask): Promise<unknown> {
  thread ??= start()
  const { worker, waiting } = thread
  const id = nextId++
  clearTimeout(idle)
  return new Promise((resolve, reject) => {
    const giveUp = setTimeout(() => {
      const what = 'read' in task ? 'object provided takes' : 'answer takes'
      end(badRequest(`the ${what} over ${patienceMs / 1000} s as YAML: use application/json`))
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
    worker.postMessage({ id, ...task })
  })
}

function start(): Thread {
  const worker = new Worker(new URL('./yaml-worker.ts', import.meta.url))
  const waiting = new Map<number, Waiting>()
  worker.unref()
  worker.on('message', ({ id, value, error }: YamlAnswer) => {
    const one = waiting.get(id)
    if (error === undefined) one?.resolve(value)
    else one?.reject(badRequest(error))
  })
  worker.on('error', (error) => end(badRequest(`the YAML can be neither read nor written: ${error.message}`)))
  return { worker, waiting }
}

function rest(): void {
  idle = setTimeout(() => end(), idleMs)
  idle.unref()
}

function end(error?: Error): void {
  const ended = thread
  thread = undefined
  void ended?.worker.terminate()
  for (const one of ended?.waiting.values() ?? []) one.reject(error ?? new Error('the thread for YAML has ended'))
}
