// A request of the network as a request of the API: method, path, headers and body, and how long it may take.

import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import { ApiError } from '../api/errors.ts'
import type { ApiRequest } from '../api/exchange.ts'
import { parseDuration } from '../api/time.ts'

/** Upstream's limit on a request body (etcd takes 1.5 MiB; the apiserver refuses above 3 MiB). */
const bodyLimit = 3 * 1024 * 1024
/** How long a request that is no watch and no stream may take. */
const deadline = 60_000

export type Incoming = IncomingMessage | Http2ServerRequest

export function readRequest(request: Incoming): ApiRequest {
  const url = request.url ?? '/'
  const mark = url.indexOf('?')
  const encoded = mark < 0 ? url : url.slice(0, mark)
  let path: string
  try {
    path = encoded.includes('%') ? decodeURIComponent(encoded) : encoded
  } catch {
    throw new ApiError('BadRequest', 'the path of the URL is not valid percent-encoding')
  }
  const headers: Record<string, string> = {}
  for (const name in request.headers) {
    const value = request.headers[name]
    if (value !== undefined && name[0] !== ':') headers[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return {
    method: methodOf(request.method),
    path,
    query: new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1)),
    source: request.socket?.remoteAddress ?? '',
    headers,
  }
}

export const notAllowed = () =>
  new ApiError('MethodNotAllowed', 'the server does not allow this method on the requested resource')

function methodOf(method: string | undefined): ApiRequest['method'] {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'POST':
    case 'PUT':
    case 'PATCH':
    case 'DELETE':
    case 'OPTIONS':
      return method
    default:
      throw notAllowed()
  }
}

/** Watches, logs and streams last as long as they last. */
export function isLong(request: ApiRequest): boolean {
  const watch = request.query.get('watch')
  if (watch !== null && watch !== 'false' && watch !== '0') return true
  return (
    /\/(log|exec|attach|portforward|proxy|console|vnc|usbredir)(\/|$)/.test(request.path) ||
    /\/watch\//.test(request.path)
  )
}

/** The only GET whose options come in its body (KubeVirt 1.9). */
const withOptions = (url: string): boolean => /^\/apis\/subresources\.kubevirt\.io\/.*\/objectgraph(\?|$)/.test(url)

/** @throws ApiError RequestEntityTooLarge */
export function readBytes(request: Incoming): Promise<Uint8Array | undefined> {
  const tooLarge = () => new ApiError('RequestEntityTooLarge', `Request entity too large: limit is ${bodyLimit}`)
  if (Number(request.headers['content-length'] ?? 0) > bodyLimit) {
    request.resume()
    return Promise.reject(tooLarge())
  }
  if ((request.method === 'GET' && !withOptions(request.url ?? '')) || request.method === 'HEAD') {
    request.resume()
    return Promise.resolve(undefined)
  }
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > bodyLimit) {
        chunks.length = 0
        reject(tooLarge())
      } else chunks.push(chunk)
    })
    request.on('end', () => resolve(size === 0 ? undefined : chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)))
    request.on('error', reject)
    request.on('close', () => {
      if (!request.complete) reject(new ApiError('BadRequest', 'the client went away before its request was complete'))
    })
  })
}

/** How long the request may take (ms): ours, or less where the client says so (`kubectl --request-timeout`). */
export function timeLimit({ query }: Pick<ApiRequest, 'query'>): number {
  const text = query.get('timeout')
  if (!text) return deadline
  const asked = parseDuration(text)
  if (asked === undefined || asked < 0)
    throw new ApiError('BadRequest', `invalid timeout specified in the request URL: ${text}`)
  return asked === 0 ? deadline : Math.min(asked, deadline)
}

/** URLs may hold tokens in their query: the log gets the path. */
export const pathOnly = (request: Incoming): string => (request.url ?? '').split('?')[0]!
