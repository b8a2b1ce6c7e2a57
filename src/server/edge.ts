// Where a connection's requests become calls of the API server: who it is, how many at once, how long, and whether they
// become a stream.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { ApiError, isApiError } from '../api/errors.ts'
import type { ApiRequest, UserInfo } from '../api/exchange.ts'
import type { Logger } from '../base/log.ts'
import { certificateUser } from './auth/authn.ts'
import type { HttpOptions } from './http.ts'
import { type Incoming, isLong, notAllowed, pathOnly, readBytes, readRequest, timeLimit } from './incoming.ts'
import { parseRequest, type RequestInfo } from './request.ts'
import { type Outgoing, sendError, sendResponse } from './send.ts'
import { isProxied } from './subresources/proxy.ts'

/** Requests in work at once, watches not counted. */
const inFlightLimit = 2000

interface InFlight {
  /** When it is over at the latest. */
  ends: number
  response: Outgoing
}

export function createEdge(options: HttpOptions, log: Logger) {
  const { server } = options
  const inFlight = new Set<InFlight>()
  const identities = new WeakMap<object, Identity>()

  // One timer for all requests instead of one each.
  const sweep = setInterval(() => {
    const now = performance.now()
    for (const entry of inFlight) {
      if (entry.ends > now) continue
      inFlight.delete(entry)
      sendError(entry.response, new ApiError('Timeout', 'request did not complete within the allotted timeout'))
    }
  }, 1000)
  sweep.unref()

  async function authenticateRequest(request: Incoming, headers: Record<string, string>): Promise<UserInfo> {
    const socket = (('stream' in request && request.stream?.session?.socket) || request.socket) as TLSSocket
    const identity = identities.get(socket) ?? identityOf(socket)
    identities.set(socket, identity)
    return server.authenticate({ headers, path: pathOnly(request), ...identity })
  }

  async function serve(request: Incoming, response: Outgoing): Promise<void> {
    if (options.other?.(request, response)) return
    const asked = readRequest(request)
    const entry: InFlight = { ends: performance.now() + timeLimit(asked), response }
    if (isLong(asked)) {
      const ending = new AbortController()
      response.on('close', () => ending.abort())
      asked.signal = ending.signal
    } else {
      if (inFlight.size >= inFlightLimit)
        throw new ApiError(
          'TooManyRequests',
          'The server has received too many requests and has asked us to try again later',
          { retryAfterSeconds: 1 },
        )
      inFlight.add(entry)
    }
    try {
      asked.user = await authenticateRequest(request, asked.headers)
      if (asked.signal && asked.path.includes('/proxy') && (await proxied(request, response, asked))) return
      if (asked.method === 'OPTIONS') throw notAllowed()
      const body = await readBytes(request)
      if (body) asked.body = body
      const answer = await server.handle(asked)
      if (!response.headersSent) await sendResponse(response, answer, asked)
    } finally {
      inFlight.delete(entry)
    }
  }

  /** The body stays unread: it belongs to the server behind. False for every other request. */
  async function proxied(request: Incoming, response: Outgoing, asked: ApiRequest): Promise<boolean> {
    if (!options.proxy || !isProxied(parseRequest(asked))) return false
    const { info } = await server.admitStream(asked)
    const answer = await options.proxy.request(request, response, info)
    if (answer) await sendResponse(response, answer, asked)
    return true
  }

  return {
    request(request: Incoming, response: Outgoing): void {
      response.on('error', () => {})
      request.on('error', () => {})
      serve(request, response).catch((error: unknown) => {
        if (!isApiError(error)) log.error('request failed at the edge', { url: pathOnly(request), error })
        sendError(response, isApiError(error) ? error : new ApiError('InternalError', 'Internal error occurred'))
      })
    },
    upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
      socket.on('error', () => socket.destroy())
      upgrade(request, socket, head).catch((error: unknown) => {
        if (!isApiError(error)) log.error('upgrade failed', { url: pathOnly(request), error })
        refuseUpgrade(socket, isApiError(error) ? error : new ApiError('InternalError', 'Internal error occurred'))
      })
    },
    close() {
      clearInterval(sweep)
    },
  }

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const asked = readRequest(request)
    refuseForeignOrigin(asked.headers)
    asked.user = await authenticateRequest(request, asked.headers)
    const { info, user } = await server.admitStream(asked)
    if (info.verb === 'get' && runsInPod(info)) await server.admitStream({ ...asked, method: 'POST' })
    const remote = server.aggregation.find(info.group, info.version)
    if (remote) return await server.aggregation.upgrade(remote, request, socket, head, user)
    if (options.proxy && isProxied(info)) return await options.proxy.upgrade(request, socket, head, info)
    if (!options.upgrade || !info.subresource)
      throw new ApiError(
        'BadRequest',
        `the path ${info.path} cannot be upgraded to ${request.headers.upgrade ?? 'a stream'}`,
      )
    await options.upgrade({ request, socket, head, info, query: asked.query, user })
  }
}

/** To do something in a Pod needs the right to create, also where a WebSocket begins as a GET (1.35). */
const runsInPod = ({ group, resource, subresource }: RequestInfo): boolean =>
  group === '' && resource === 'pods' && ['exec', 'attach', 'portforward'].includes(subresource)

const loopbackNames = new Set(['localhost', '127.0.0.1', '[::1]'])

/**
 * A page of another site must not open streams with the certificate of whoever looks at it (CVE-2015-0259's class). What
 * this machine itself serves is no other site: `kubectl proxy` and the tools of a developer are pages of localhost.
 */
function refuseForeignOrigin(headers: Record<string, string>): void {
  const { origin, host } = headers
  if (!origin) return
  if (URL.canParse(origin)) {
    const from = new URL(origin)
    if (from.host === host || loopbackNames.has(from.hostname)) return
  }
  throw new ApiError('Forbidden', `the origin ${origin} may not open streams on ${host ?? 'this server'}`)
}

interface Identity {
  certificate?: UserInfo
  badCertificate?: boolean
}

function identityOf(socket: TLSSocket): Identity {
  if (typeof socket.getPeerCertificate !== 'function') return {}
  const { subject, fingerprint256 } = socket.getPeerCertificate()
  if (!subject) return {}
  if (!socket.authorized) return { badCertificate: true }
  const certificate = certificateUser(subject as { CN?: unknown; O?: unknown }, fingerprint256)
  return certificate ? { certificate } : { badCertificate: true }
}

function refuseUpgrade(socket: Duplex, error: ApiError): void {
  if (!socket.writable) return
  const body = JSON.stringify(error.toStatus())
  socket.end(
    `HTTP/1.1 ${error.code} ${error.reason}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}
