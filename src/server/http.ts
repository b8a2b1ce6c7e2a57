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
import type { SecureContext } from 'node:tls'
import type { UserInfo } from '../api/exchange.ts'
import { type Logger, silentLogger } from '../base/log.ts'
import type { ApiServer } from './apiserver.ts'
import type { Pki } from './auth/pki.ts'
import { createEdge } from './edge.ts'
import type { Incoming } from './incoming.ts'
import type { RequestInfo } from './request.ts'
import type { Outgoing } from './send.ts'
import type { ApiProxy } from './subresources/proxy.ts'

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
  other?: (request: Incoming, response: Outgoing) => boolean
  log?: Logger
}

export interface HttpServer {
  /** The addresses that it listens on, with the real ports. */
  readonly addresses: { host: string; port: number }[]
  listenAlso(host: string, port: number): Promise<void>
  close(): Promise<void>
}

/**
 * kube-apiserver's IdleTimeout (apiserver/pkg/server/secure_serving.go, 1.36). With Node's five seconds, a server that was
 * held up for as long would close connections on which the next request had come in meanwhile.
 */
const idleMs = 90_000

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
    Object.assign(listener, { keepAliveTimeout: idleMs })
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
