// The network edge: TLS with HTTP/1.1 and HTTP/2 on any number of addresses; bytes in, requests out; answers in, bytes out.

import type { IncomingMessage } from 'node:http'
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { SecureContext, TLSSocket } from 'node:tls'
import { ApiError, isApiError } from '../api/errors.ts'
import type { ApiRequest, UserInfo } from '../api/exchange.ts'
import { parseDuration } from '../api/time.ts'
import { type Logger, silentLogger } from '../base/log.ts'
import type { ApiServer } from './apiserver.ts'
import { certificateUser } from './auth/authn.ts'
import type { Pki } from './auth/pki.ts'
import { parseRequest, type RequestInfo } from './request.ts'
import { type Outgoing, sendError, sendResponse } from './send.ts'
import { type ApiProxy, isProxied } from './subresources/proxy.ts'

export interface StreamUpgrade {
  request: IncomingMessage
  socket: Duplex
  head: Buffer
  info: RequestInfo
  query: URLSearchParams
  user: UserInfo
}

export interface HttpOptions {
  server: ApiServer
  pki: Pick<Pki, 'caCert' | 'servingCert' | 'servingKey'>
  listen: { host: string; port: number }[]
  /** Takes an authorized WebSocket or SPDY upgrade. @throws ApiError before anything was written. */
  upgrade?: (upgrade: StreamUpgrade) => Promise<void>
  /** Serves pods/proxy, services/proxy and nodes/proxy. */
  proxy?: ApiProxy
  /** What this server shows of itself under a name that is not its own; undefined: as always. */
  certificateFor?: (name: string) => Promise<SecureContext | undefined> | undefined
  /** Paths that are not Kubernetes': true when it answered. Before authentication. */
  other?: (request: IncomingMessage | Http2ServerRequest, response: Outgoing) => boolean
  log?: Logger
}

export interface HttpServer {
  /** The addresses that it listens on, with the real ports. */
  readonly addresses: { host: string; port: number }[]
  listenAlso(host: string, port: number): Promise<void>
  close(): Promise<void>
}

/** Upstream's limit on a request body (etcd takes 1.5 MiB; the apiserver refuses above 3 MiB). */
const bodyLimit = 3 * 1024 * 1024
/** How long a request that is no watch and no stream may take. */
const deadline = 60_000
/** Requests in work at once, watches not counted. */
const inFlightLimit = 2000

type Incoming = IncomingMessage | Http2ServerRequest

export async function serveHttp(options: HttpOptions): Promise<HttpServer> {
  const { log = silentLogger } = options
  const listeners: Http2SecureServer[] = []
  const sockets = new Set<Duplex>()
  const edge = createEdge(options, log)

  async function listenAlso(host: string, port: number): Promise<void> {
    const { pki } = options
    const listener = createSecureServer({
      key: pki.servingKey,
      cert: pki.servingCert,
      ca: pki.caCert,
      requestCert: true,
      rejectUnauthorized: false,
      allowHTTP1: true,
      minVersion: 'TLSv1.2',
      settings: { maxConcurrentStreams: 1000, initialWindowSize: 1024 * 1024 },
      ...(options.certificateFor && { SNICallback: certificateChoice(options.certificateFor) }),
    })
    listener.on('secureConnection', (socket) => {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('close', () => sockets.delete(socket))
    })
    listener.on('request', (request: Http2ServerRequest, response: Http2ServerResponse) => {
      edge.request(request, response as unknown as Outgoing)
    })
    listener.on('upgrade', edge.upgrade)
    // A client that speaks no TLS or goes away in the handshake is its own problem.
    listener.on('tlsClientError', () => {})
    listener.on('sessionError', () => {})
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject)
      listener.listen(port, host, () => {
        listener.off('error', reject)
        listener.on('error', (error) => log.error('listener failed', { host, port, error }))
        resolve()
      })
    })
    listeners.push(listener)
  }

  for (const { host, port } of options.listen) await listenAlso(host, port)
  return {
    get addresses() {
      return listeners.map((listener) => {
        const { address, port } = listener.address() as AddressInfo
        return { host: address, port }
      })
    },
    listenAlso,
    async close() {
      edge.close()
      const closed = listeners.map((listener) => new Promise((resolve) => listener.close(resolve)))
      for (const socket of sockets) socket.destroy()
      await Promise.all(closed)
    },
  }
}

/** A name that nobody knows gets the usual certificate, at once. */
function certificateChoice(certificateFor: NonNullable<HttpOptions['certificateFor']>) {
  return (name: string, done: (error: Error | null, context?: SecureContext) => void): void => {
    const found = certificateFor(name)
    if (found) found.then((context) => done(null, context), done)
    else done(null)
  }
}

interface InFlight {
  /** When it is over at the latest. */
  ends: number
  response: Outgoing
}

function createEdge(options: HttpOptions, log: Logger) {
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
const pathOnly = (request: Incoming): string => (request.url ?? '').split('?')[0]!

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

function readRequest(request: Incoming): ApiRequest {
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

const notAllowed = () =>
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
function isLong(request: ApiRequest): boolean {
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
function readBytes(request: Incoming): Promise<Uint8Array | undefined> {
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

function refuseUpgrade(socket: Duplex, error: ApiError): void {
  if (!socket.writable) return
  const body = JSON.stringify(error.toStatus())
  socket.end(
    `HTTP/1.1 ${error.code} ${error.reason}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}
