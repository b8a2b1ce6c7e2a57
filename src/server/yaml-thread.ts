// YAML is read and written by a thread of its own, so that nobody else waits for it. kubectl sends and takes JSON whatever
// the file was; this is for those who do not.

import type { ApiRequest } from '../api/exchange.ts'
import { type Body, isBytes, jsonOfYaml, mediaType, ReadBody } from './body.ts'
import { badRequest } from './call.ts'
import { sideThread } from './side-thread.ts'
import type { YamlWork } from './yaml-worker.ts'

/** A document that keeps the thread longer is refused, and the thread ended. */
const patienceMs = 10_000

const thread = sideThread<YamlWork>(new URL('./yaml-worker.ts', import.meta.url), {
  patienceMs,
  tooLong: () => badRequest(`it takes over ${patienceMs / 1000} s as YAML: use application/json`),
})

/** Whether `readYaml` is for this request. */
export function hasYaml({ body, headers }: ApiRequest): boolean {
  if (!isBytes(body) || body.length === 0) return false
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
export const yamlOf = (json: string): Promise<string> => asked(thread.call('write', json))

const asked = <T>(answer: Promise<T>): Promise<T> =>
  answer.catch((error: Error) => {
    throw badRequest(error.message)
  })
