// Answers as bytes: JSON (compressed when it is large and the client can), text, streams, and watches line by line.

import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { ApiError } from '../api/errors.ts'
import type { ApiRequest, ApiResponse, WatchEvent } from '../api/exchange.ts'
import { type Frame, frameBytes } from './forms.ts'
import type { EventQueue } from './verbs/event-queue.ts'
import { yamlOf } from './yaml-thread.ts'

/** HTTP/1.1's and HTTP/2's responses are used alike. */
export type Outgoing = ServerResponse

const compress = promisify(gzip)
/** Upstream compresses answers above this size (APIResponseCompression). */
const compressFrom = 128 * 1024
/** Above this size the second pass over a text costs more than the second chunk of a write. */
const bytesFrom = 16 * 1024
/** Bytes of a watch that are put together into one write. */
const batchBytes = 256 * 1024

export async function sendResponse(response: Outgoing, answer: ApiResponse, request: ApiRequest): Promise<void> {
  const headers: Record<string, string | string[]> = { 'cache-control': 'no-cache, private', ...answer.headers }
  if (answer.warnings?.length) headers.warning = answer.warnings.map(warningText)
  if (answer.events) return sendEvents(response, answer, headers)
  if (answer.stream) return sendStream(response, answer, headers, request.signal)
  if (answer.text !== undefined) {
    headers['content-type'] ??= 'text/plain; charset=utf-8'
    response.writeHead(answer.status, headers)
    response.end(request.method === 'HEAD' ? undefined : answer.text)
    return
  }
  const asYaml = wantsYaml(request.headers.accept)
  headers['content-type'] ??= asYaml ? 'application/yaml' : 'application/json'
  const json = answer.json ?? JSON.stringify(answer.object)
  const text = asYaml ? await yamlOf(json) : json
  if (text.length > compressFrom && acceptsGzip(request)) {
    const bytes = await compress(text, { level: 1 })
    headers['content-encoding'] = 'gzip'
    headers.vary = 'Accept-Encoding'
    headers['content-length'] = String(bytes.length)
    response.writeHead(answer.status, headers)
    response.end(request.method === 'HEAD' ? undefined : bytes)
    return
  }
  // A long text becomes bytes once; a short one goes out together with the headers.
  const body = text.length > bytesFrom ? Buffer.from(text) : text
  headers['content-length'] = String(Buffer.byteLength(body))
  response.writeHead(answer.status, headers)
  response.end(request.method === 'HEAD' ? undefined : body)
}

const wantsYaml = (accept: string | undefined): boolean => accept?.split(',')[0]?.trim() === 'application/yaml'

const acceptsGzip = (request: ApiRequest): boolean => /\bgzip\b/.test(request.headers['accept-encoding'] ?? '')

/** 299 - "unknown field \"spec.foo\"" */
function warningText(warning: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: header values must not hold them
  const plain = warning.replace(/[\u0000-\u001f\u007f]+/g, ' ').replace(/[^\u0020-\u00ff]/g, '?')
  return `299 - "${plain.replace(/[\\"]/g, '\\$&')}"`
}

/** Writes what waits in one go; a reader that takes nothing lets the queue behind it grow to its bound. */
async function sendEvents(
  response: Outgoing,
  answer: ApiResponse,
  headers: Record<string, string | string[]>,
): Promise<void> {
  headers['content-type'] ??= 'application/json'
  response.writeHead(answer.status, headers)
  // The client learns at once that the watch stands, even when nothing happens.
  response.flushHeaders?.()
  const queue = answer.events as Partial<EventQueue> & AsyncIterable<WatchEvent>
  let closed = response.destroyed
  response.on('close', () => {
    closed = true
  })
  for await (const event of queue) {
    if (closed) break
    let chunk: Uint8Array[] = [frameBytes(event as Frame)]
    let size = chunk[0]!.length
    let drained = true
    for (const more of queue.takeAll?.() ?? []) {
      const bytes = frameBytes(more as Frame)
      chunk.push(bytes)
      size += bytes.length
      if (size < batchBytes) continue
      drained = write(response, chunk)
      if (!drained && !(await canWrite(response))) return
      chunk = []
      size = 0
    }
    if (chunk.length > 0) drained = write(response, chunk)
    if (!drained && !(await canWrite(response))) break
  }
  response.end()
}

const write = (response: Outgoing, chunks: Uint8Array[]): boolean =>
  response.write(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks))

/** False when the connection ended instead. */
async function canWrite(response: Outgoing): Promise<boolean> {
  if (response.destroyed) return false
  const waiting = new AbortController()
  const { signal } = waiting
  try {
    await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })])
  } finally {
    waiting.abort()
  }
  return !response.destroyed
}

async function sendStream(
  response: Outgoing,
  answer: ApiResponse,
  headers: Record<string, string | string[]>,
  signal: AbortSignal | undefined,
): Promise<void> {
  headers['content-type'] ??= 'text/plain'
  const iterator = answer.stream![Symbol.asyncIterator]()
  // The first bytes before the headers: an error that shows itself at once is still a proper answer.
  let next = await iterator.next()
  response.writeHead(answer.status, headers)
  response.flushHeaders?.()
  try {
    while (!next.done && !signal?.aborted) {
      if (!response.write(next.value) && !(await canWrite(response))) break
      next = await iterator.next()
    }
  } finally {
    await iterator.return?.()
    response.end()
  }
}

export function sendError(response: Outgoing, error: ApiError): void {
  if (response.headersSent || response.destroyed) {
    response.destroy?.()
    return
  }
  const text = JSON.stringify(error.toStatus())
  const headers: Record<string, string | number> = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-cache, private',
  }
  if (error.code === 401) headers['www-authenticate'] = 'Bearer realm="tandem"'
  if (error.details?.retryAfterSeconds) headers['retry-after'] = error.details.retryAfterSeconds
  // The rest of a body that is too large is not read: the connection ends with the answer.
  if (error.code === 413 && response.req?.httpVersionMajor === 1) headers.connection = 'close'
  response.writeHead(error.code, headers)
  response.end(text)
}
