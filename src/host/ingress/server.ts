// The listening end of Ingress: plain HTTP and TLS with names, HTTP/1.1 and HTTP/2 in front, WebSockets through.

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Http2SecureServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { SecureContext } from 'node:tls'
import { requestHeaders } from '../../wire/proxy-headers.ts'
import { forwardRequest, forwardUpgrade, type ProxiedRequest, Unreachable } from '../../wire/reverse-proxy.ts'
import type { Backends, Endpoint } from './backends.ts'
import { findBackend, type RoutingTable } from './routing-table.ts'

export interface IngressAddress {
  host: string
  httpPort: number
  httpsPort: number
}

export interface IngressServerOptions {
  address: IngressAddress
  table: () => RoutingTable
  backends: Backends
  /** The certificate for a name; the default one for names that nobody has. */
  context: (servername: string) => SecureContext
  /** For clients that name no host. */
  certificate: { cert: string; key: string }
}

export interface IngressServer {
  /** @throws when a port cannot be listened on. */
  listen(): Promise<void>
  readonly ports: { http: number; https: number }
  close(): Promise<void>
}

const secure = ['https', 'kubernetes.io/wss']

class Refusal extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const hostOf = (request: ProxiedRequest): string =>
  String(request.headers[':authority'] ?? request.headers.host ?? '').replace(/:\d+$/, '')

export function createIngressServer(options: IngressServerOptions): IngressServer {
  const sockets = new Set<Duplex>()
  let plain: Server | undefined
  let tls: Http2SecureServer | undefined

  function endpointFor(request: ProxiedRequest): Endpoint {
    const path = (request.url ?? '/').split('?')[0]!
    // An absolute form or an asterisk is a request to a forward proxy, or to nobody.
    if (!path.startsWith('/')) throw new Refusal(400, 'the path of the request must begin with a slash')
    const backend = findBackend(options.table(), hostOf(request), path)
    if (!backend) throw new Refusal(404, 'default backend - 404')
    const endpoint = options.backends.choose(backend)
    if (!endpoint)
      throw new Refusal(503, `no endpoints available for service "${backend.service}" of Ingress ${backend.ingress}`)
    return endpoint
  }

  function forwarding(request: ProxiedRequest, { host, port, speaks = '' }: Endpoint, scheme: 'http' | 'https') {
    const headers = requestHeaders(request.headers, {
      client: request.socket.remoteAddress ?? '',
      host: String(request.headers[':authority'] ?? request.headers.host ?? ''),
      scheme,
    })
    const protocol = secure.includes(speaks.toLowerCase()) ? ('https:' as const) : ('http:' as const)
    return { to: { protocol, host, port }, path: request.url ?? '/', headers }
  }

  async function serve(request: ProxiedRequest, response: ServerResponse, scheme: 'http' | 'https'): Promise<void> {
    request.on('error', () => {})
    response.on('error', () => {})
    try {
      await forwardRequest(request, response, forwarding(request, endpointFor(request), scheme))
    } catch (error) {
      const { status, message } = refusalOf(error)
      if (response.headersSent) return void response.destroy?.()
      response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' })
      response.end(`${message}\n`)
    }
  }

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, scheme: 'http' | 'https') {
    socket.on('error', () => {})
    try {
      await forwardUpgrade(request, socket, head, forwarding(request, endpointFor(request), scheme))
    } catch (error) {
      const { status, message } = refusalOf(error)
      if (socket.writable)
        socket.end(
          `HTTP/1.1 ${status} ${statusText(status)}\r\nconnection: close\r\ncontent-length: ${message.length + 1}\r\n\r\n${message}\n`,
        )
    }
  }

  const track = (socket: Duplex) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  }

  function makeServers(): { http: Server; https: Http2SecureServer } {
    const http = process
      .getBuiltinModule('node:http')
      .createServer((request, response) => void serve(request, response, 'http'))
    http.on('upgrade', (request, socket, head) => void upgrade(request, socket, head, 'http'))
    http.on('connection', track)
    const https = process.getBuiltinModule('node:http2').createSecureServer({
      ...options.certificate,
      allowHTTP1: true,
      minVersion: 'TLSv1.2',
      SNICallback: (servername, callback) => {
        try {
          callback(null, options.context(servername))
        } catch (error) {
          callback(error as Error)
        }
      },
    })
    https.on('request', (request, response) => void serve(request, response as unknown as ServerResponse, 'https'))
    https.on(
      'upgrade',
      (request: IncomingMessage, socket: Duplex, head: Buffer) => void upgrade(request, socket, head, 'https'),
    )
    https.on('secureConnection', track)
    https.on('tlsClientError', () => {})
    https.on('sessionError', () => {})
    return { http, https }
  }

  return {
    async listen() {
      const { http, https } = makeServers()
      const { host, httpPort, httpsPort } = options.address
      try {
        await listenOn(http, httpPort, host)
        await listenOn(https, httpsPort, host)
      } catch (error) {
        http.close()
        https.close()
        throw error
      }
      plain = http
      tls = https
    },
    get ports() {
      const port = (server: Server | Http2SecureServer | undefined) =>
        (server?.address() as AddressInfo | null)?.port ?? 0
      return { http: port(plain), https: port(tls) }
    },
    async close() {
      const closed = [plain, tls].map((server) => server && new Promise((resolve) => server.close(resolve)))
      plain = tls = undefined
      for (const socket of sockets) socket.destroy()
      await Promise.all(closed)
    },
  }
}

function refusalOf(error: unknown): { status: number; message: string } {
  if (error instanceof Refusal) return error
  if (error instanceof Unreachable)
    return { status: 502, message: 'the server behind this address could not be reached' }
  return { status: 500, message: 'the request could not be handed on' }
}

const statusText = (status: number): string =>
  ({ 400: 'Bad Request', 404: 'Not Found', 502: 'Bad Gateway', 503: 'Service Unavailable' })[status] ??
  'Internal Server Error'

function listenOn(server: Server | Http2SecureServer, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      server.on('error', () => {})
      resolve()
    })
  })
}
