// Hands a request on to another HTTP server and its answer back, streaming both ways: HTTP/1.1 and HTTP/2 in front,
// HTTP/1.1 behind. Upgrades (WebSocket) become a pair of joined connections.

import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { Duplex, Transform } from 'node:stream'
import type { ConnectionOptions } from 'node:tls'
import { responseHeaders } from './proxy-headers.ts'

export type ProxiedRequest = IncomingMessage | Http2ServerRequest

export interface ProxyDestination {
  protocol: 'http:' | 'https:'
  host: string
  port: number
  /** Whom it must prove to be, and who we are. */
  tls?: ConnectionOptions
}

export interface Forwarding {
  to: ProxyDestination
  /** Path and query as they are sent, percent-encoded. */
  path: string
  headers: OutgoingHttpHeaders
  /** How long a connection may take. */
  connectMs?: number
  /** Ends the request, wherever it is. */
  signal?: AbortSignal
  /** Looks at the answer's headers, may change them, and may change the body. */
  answer?: (status: number, headers: Record<string, string | string[]>) => Transform[]
}

/** The other server could not be reached, or did not speak HTTP. */
export class Unreachable extends Error {
  override name = 'Unreachable'
}

const defaultConnectMs = 30_000

/** What a request says of its body: a body without a length must be framed anew. */
function bodyOf(request: ProxiedRequest): { length?: string; present: boolean } {
  const { 'content-length': length, 'transfer-encoding': chunked } = request.headers
  if (length !== undefined) return { length, present: length !== '0' }
  if ('stream' in request && request.httpVersionMajor === 2)
    return { present: !(request.stream as { endAfterHeaders?: boolean }).endAfterHeaders }
  return { present: chunked !== undefined }
}

function open(request: ProxiedRequest, forwarding: Forwarding, headers: OutgoingHttpHeaders): ClientRequest {
  const { to, path, connectMs = defaultConnectMs } = forwarding
  // Loaded with the first use: most Tandems proxy nothing.
  const http = process.getBuiltinModule(to.protocol === 'https:' ? 'node:https' : 'node:http')
  const asked = http.request({
    protocol: to.protocol,
    host: to.host,
    port: to.port,
    path,
    method: request.method ?? 'GET',
    headers,
    agent: false,
    setHost: false,
    ...(forwarding.signal && { signal: forwarding.signal }),
    // As upstream: whoever proxies to a workload does not know by which name its certificate was made.
    ...(to.protocol === 'https:' && (to.tls ?? { rejectUnauthorized: false })),
  })
  const timer = setTimeout(() => asked.destroy(new Error('connect: connection timed out')), connectMs)
  asked.once('socket', (socket) => {
    socket.setNoDelay(true)
    socket.once(to.protocol === 'https:' ? 'secureConnect' : 'connect', () => clearTimeout(timer))
    socket.once('close', () => clearTimeout(timer))
  })
  return asked
}

/** Resolves when the answer has been sent or either side is gone. @throws Unreachable before anything was sent. */
export function forwardRequest(
  request: ProxiedRequest,
  response: ServerResponse,
  forwarding: Forwarding,
): Promise<void> {
  const { present } = bodyOf(request)
  const headers = { ...forwarding.headers }
  if (present && headers['content-length'] === undefined) headers['transfer-encoding'] = 'chunked'
  const asked = open(request, forwarding, headers)
  return new Promise((resolve, reject) => {
    response.on('close', () => {
      asked.destroy()
      resolve()
    })
    asked.on('error', (error) => {
      if (response.headersSent) {
        response.destroy?.(error)
        resolve()
      } else reject(new Unreachable(error.message, { cause: error }))
    })
    asked.on('information', (info) => {
      // 100 is this server's own to say; others (103) are hints that may be lost.
      if (info.statusCode === 101) asked.destroy(new Error('unexpected switch of protocols'))
    })
    asked.once('response', (answer) => {
      const passed = responseHeaders(answer.headers)
      const status = answer.statusCode ?? 502
      let changes: Transform[]
      try {
        changes = forwarding.answer?.(status, passed) ?? []
        response.writeHead(status, passed)
      } catch (error) {
        // A header that this side's protocol does not have.
        asked.destroy()
        return reject(error)
      }
      response.flushHeaders?.()
      const ends = [answer, ...changes]
      for (const [index, change] of changes.entries()) ends[index]!.pipe(change)
      for (const end of ends) end.on('error', () => response.destroy?.())
      answer.on('aborted', () => response.destroy?.())
      ends.at(-1)!.pipe(response)
    })
    if (present) request.pipe(asked)
    else asked.end()
  })
}

/** What waits for a mirror that reads slowly; beyond it the copy ends, not the request. */
const mostMirrored = 1 << 20

/** Sends a copy of a request, to be called in the same turn as forwardRequest; the answer is thrown away. */
export function mirrorRequest(request: ProxiedRequest, forwarding: Forwarding): void {
  const { present } = bodyOf(request)
  const headers = { ...forwarding.headers }
  if (present && headers['content-length'] === undefined) headers['transfer-encoding'] = 'chunked'
  const asked = open(request, forwarding, headers)
  asked.on('error', () => {})
  asked.on('response', (answer) => answer.resume().on('error', () => {}))
  if (!present) return void asked.end()
  request.on('data', (chunk) => {
    asked.write(chunk)
    if (asked.writableLength > mostMirrored) asked.destroy()
  })
  request.on('end', () => asked.end())
  request.on('close', () => request.readableEnded || asked.destroy())
}

/** Bytes both ways until either side ends; half-closes pass. */
export function joinStreams(one: Duplex, other: Duplex): void {
  one.pipe(other)
  other.pipe(one)
  for (const [side, peer] of [
    [one, other],
    [other, one],
  ] as const) {
    side.on('error', () => peer.destroy())
    side.on('close', () => peer.destroy())
  }
}

function headOf(status: number, text: string, headers: Record<string, string | string[]>): string {
  const lines = Object.entries(headers).flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}`))
  return `${[`HTTP/1.1 ${status} ${text}`, ...lines].join('\r\n')}\r\n\r\n`
}

/**
 * The client's connection belongs to the other server only after that server agreed to switch: any other answer is
 * handed back and the connection closed, so that it cannot be used to speak past the proxy (CVE-2018-1002105).
 */
export function forwardUpgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  forwarding: Forwarding,
): Promise<void> {
  const upgrade = request.headers.upgrade ?? ''
  const asked = open(request, forwarding, { ...forwarding.headers, connection: 'Upgrade', upgrade })
  return new Promise((resolve, reject) => {
    socket.on('error', () => asked.destroy())
    socket.on('close', () => {
      asked.destroy()
      resolve()
    })
    asked.once('error', (error) => reject(new Unreachable(error.message, { cause: error })))
    asked.once('upgrade', (answer, peer, peerHead) => {
      const passed = {
        ...responseHeaders(answer.headers),
        connection: 'Upgrade',
        upgrade: answer.headers.upgrade ?? '',
      }
      socket.write(headOf(101, 'Switching Protocols', passed))
      if (peerHead.length > 0) socket.write(peerHead)
      if (head.length > 0) peer.write(head)
      joinStreams(socket, peer)
    })
    asked.once('response', (answer) => {
      const passed = { ...responseHeaders(answer.headers), connection: 'close' } as Record<string, string | string[]>
      // The end of the connection is the end of the body.
      socket.write(headOf(answer.statusCode ?? 502, answer.statusMessage ?? '', passed))
      answer.pipe(socket)
    })
    asked.end()
  })
}
