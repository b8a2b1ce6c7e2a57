// YAML of some size is read and written by a thread of its own, so that nobody else waits for it. kubectl sends and takes
// JSON whatever the file was; this is for those who do not.

import type { ApiRequest } from '../api/exchange.ts'
import { type Body, isBytes, jsonOfYaml, mediaType, ReadBody } from './body.ts'
import { badRequest } from './call.ts'
import { sideThread } from './side-thread.ts'
import { yaml } from './yaml.ts'
import type { YamlWork } from './yaml-worker.ts'

/** Bytes of YAML that the main thread reads itself, in some ten milliseconds; of JSON that it writes as YAML. */
const smallEnough = 16 * 1024
/** A document that keeps the thread longer is refused, and the thread ended. */
const patienceMs = 10_000

const thread = sideThread<YamlWork>(new URL('./yaml-worker.ts', import.meta.url), {
  patienceMs,
  tooLong: () => badRequest(`it takes over ${patienceMs / 1000} s as YAML: use application/json`),
})

/** Whether `readYaml` is for this request. */
export function hasLargeYaml({ body, headers }: ApiRequest): boolean {
  if (!isBytes(body) || body.length <= smallEnough) return false
  const type = mediaType(headers['content-type'])
  return type === 'application/yaml' || type.endsWith('+yaml')
}

/** The request with its body read. @throws ApiError BadRequest */
export async function readYaml(request: ApiRequest): Promise<ApiRequest> {
  const body = request.body as Uint8Array
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')
  return { ...request, body: new ReadBody(jsonOfYaml(text) ?? (await asked<Body>(thread.call('read', text)))) }
}

/** JSON as YAML. @throws ApiError BadRequest when it takes too long */
export const yamlOf = async (json: string): Promise<string> =>
  json.length <= smallEnough ? yaml().stringify(JSON.parse(json)) : asked(thread.call('write', json))

const asked = <T>(answer: Promise<T>): Promise<T> =>
  answer.catch((error: Error) => {
    throw badRequest(error.message)
  })
