// A transport over HTTPS (HTTP/1.1 with kept-alive connections, which every API server and proxy speaks).
// The client room's only file that needs Node.

import type { IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { ApiError } from '../api/errors.ts'
import type { ApiRequest, ApiResponse, WatchEvent } from '../api/exchange.ts'
import type { ServerAccess } from './kubeconfig.ts'
import type { Transport } from './transport.ts'

export interface HttpsTransport {
  transport: Transport
  /** Ends all connections; requests under way fail. */
  close(): void
}

export function createHttpsTransport(access: ServerAccess): HttpsTransport {
  const agent = new Agent({
    keepAlive: true,
    ca: access.ca,
    cert: access.clientCertificate,
    key: access.clientKey,
    rejectUnauthorized: !access.insecure,
    ...(access.serverName && { servername: access.serverName }),
  })
  return {
    transport: (request) => exchange(agent, access, request),
    close: () => agent.destroy(),
  }
}

async function exchange(agent: Agent, access: ServerAccess, request: ApiRequest): Promise<ApiResponse> {
  const message = await answerOf(agent, access, request)
  const response: ApiResponse = { status: message.statusCode ?? 0, headers: message.headers as Record<string, string> }
  if (response.status < 400) {
    if (isWatch(request)) return { ...response, events: watchEvents(message) }
    if (request.path.endsWith('/log')) return { ...response, stream: message }
  }
  const warnings = warningsOf(message)
  return { ...response, ...(warnings && { warnings }), ...parsed(await textOf(message), message) }
}

function answerOf(agent: Agent, access: ServerAccess, request: ApiRequest): Promise<IncomingMessage> {
  const body = bodyOf(request.body)
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest(
      new URL(urlOf(request), access.server),
      {
        agent,
        method: request.method,
        headers: {
          ...request.headers,
          ...(access.token && { authorization: `Bearer ${access.token}` }),
          ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }),
        },
        ...(request.signal && { signal: request.signal }),
      },
      resolve,
    )
    outgoing.once('error', (error) => reject(unreachable(access.server, error)))
    outgoing.end(body)
  })
}

const unreachable = (server: string, cause: Error): ApiError =>
  new ApiError('ServiceUnavailable', `cannot reach the API server at ${server}: ${cause.message}`, undefined, { cause })

const isWatch = (request: ApiRequest): boolean => ['true', '1'].includes(request.query.get('watch') ?? '')

const bodyOf = (body: ApiRequest['body']): Uint8Array | string | undefined =>
  body === undefined || body instanceof Uint8Array ? body : JSON.stringify(body)

function urlOf(request: ApiRequest): string {
  const path = request.path.split('/').map(encodeURIComponent).join('/')
  const query = request.query.toString()
  return query ? `${path}?${query}` : path
}

async function textOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

function parsed(text: string, message: IncomingMessage): Pick<ApiResponse, 'object' | 'text' | 'json'> {
  if (!message.headers['content-type']?.includes('json')) return { text }
  return { object: JSON.parse(text) as object, json: text }
}

/** `Warning: 299 - "text"` headers (RFC 7234 as Kubernetes uses it). */
function warningsOf(message: IncomingMessage): string[] | undefined {
  const header = message.headers.warning
  if (!header) return undefined
  return [...header.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)].map((match) => match[1]!.replaceAll(/\\(.)/g, '$1'))
}

/** One JSON object per line; ends quietly when the server ends the watch or the caller's signal fires. */
async function* watchEvents(message: IncomingMessage): AsyncGenerator<WatchEvent> {
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for await (const chunk of message) {
      const lines = (rest + decoder.decode(chunk as Buffer, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) if (line) yield JSON.parse(line) as WatchEvent
    }
  } catch (error) {
    if ((error as Error).name !== 'AbortError') throw error
  } finally {
    message.destroy()
  }
}
