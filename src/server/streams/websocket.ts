// A WebSocket as the streams use it: binary messages in order, with back-pressure both ways and a bound on their size.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocket, WebSocketServer } from 'ws'

/** As the API server (32 MiB): kubectl writes small messages, other clients send what they read in one. */
const maxPayload = 32 * 1024 * 1024
const highWaterMark = 1024 * 1024
/** As the kubelet: a connection that is silent for long is asked whether it lives. */
const pingMs = 30_000

const server = new WebSocketServer({
  noServer: true,
  perMessageDeflate: false,
  maxPayload,
})
/** Of the upgrade that is being answered. */
let chosen = ''
server.on('headers', (headers) => {
  if (chosen) headers.push(`Sec-WebSocket-Protocol: ${chosen}`)
})

/** Answers the upgrade with `protocol` (none where it is empty). The caller has checked that the client offers it. */
export function acceptWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  protocol: string,
): Promise<WebSocket> {
  // "SPDY/3.1+portforward.k8s.io", which Kubernetes' clients offer, is no name of a protocol to ws: it does not see any.
  delete request.headers['sec-websocket-protocol']
  chosen = protocol
  return new Promise((resolve) => {
    // handleUpgrade answers before it returns, so that the protocol above is this request's.
    server.handleUpgrade(request, socket, head, (websocket) => {
      keepAlive(websocket)
      resolve(websocket)
    })
  })
}

function keepAlive(websocket: WebSocket): void {
  let alive = true
  const timer = setInterval(() => {
    if (!alive) return websocket.terminate()
    alive = false
    websocket.ping()
  }, pingMs)
  timer.unref()
  websocket.on('pong', () => {
    alive = true
  })
  websocket.on('message', () => {
    alive = true
  })
  websocket.on('close', () => clearInterval(timer))
  // Without a listener an error of one client would end the process; 'close' follows.
  websocket.on('error', () => {})
}

/** The protocols that the client offers, in its order. */
export const offeredProtocols = (request: IncomingMessage): string[] =>
  (request.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')

/** Text or bytes. Resolves when the socket can take more; false when it is closed. */
export function send(websocket: WebSocket, data: Uint8Array | string): Promise<boolean> {
  if (websocket.readyState !== WebSocket.OPEN) return Promise.resolve(false)
  return new Promise((resolve) => {
    websocket.send(data, { binary: typeof data !== 'string' }, (error) => resolve(!error))
    if (websocket.bufferedAmount < highWaterMark) resolve(true)
  })
}

/** Messages one by one; the socket is not read while one is being handled. Ends when the client closes. */
export async function* messages(websocket: WebSocket): AsyncGenerator<Uint8Array> {
  const waiting: Uint8Array[] = []
  let wake = () => {}
  let closed = websocket.readyState !== WebSocket.OPEN
  websocket.on('message', (data) => {
    waiting.push(data as Buffer)
    websocket.pause()
    wake()
  })
  websocket.on('close', () => {
    closed = true
    wake()
  })
  try {
    for (;;) {
      const next = waiting.shift()
      if (next) {
        yield next
        continue
      }
      if (closed) return
      websocket.resume()
      await new Promise<void>((resolve) => {
        wake = resolve
        if (waiting.length > 0 || closed) resolve()
      })
    }
  } finally {
    websocket.resume()
  }
}
