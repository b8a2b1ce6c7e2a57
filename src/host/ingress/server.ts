// One port at which HTTP from outside is taken in: plain or TLS with names, HTTP/1.1 and HTTP/2 in front, WebSockets through.

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Http2SecureServer } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { SecureContext, TLSSocket } from 'node:tls'
import { requestHeaders } from '../../wire/proxy-headers.ts'
import {
  type Forwarding,
  forwardRequest,
  forwardUpgrade,
  mirrorRequest,
  type ProxiedRequest,
  Unreachable,
} from '../../wire/reverse-proxy.ts'
import type { Endpoint } from './backends.ts'
import { type Answer, isAnswer, type Passage, type Place, type Scheme } from './passage.ts'

export interface FrontServerOptions {
  host: string
  port: number
  scheme: Scheme
  decide(request: ProxiedRequest, place: Place): Passage | Answer
  /** The certificate for a name; the default one for names that nobody has. */
  context(servername: string): SecureContext
  /** For clients that name no host. */
  certificate: { cert: string; key: string }
}

export interface FrontServer {
  /** @throws when the port cannot be listened on. */
  listen(): Promise<void>
  close(): Promise<void>
}

const secure = ['https', 'kubernetes.io/wss']

const nobody = 'the server behind this address could not be reached'

/** What the client called this server, with the port. */
const authorityOf = ({ headers }: ProxiedRequest): string => String(headers[':authority'] ?? headers.host ?? '')

/** In small letters, without the port. */
export const hostOf = (request: ProxiedRequest): string => authorityOf(request).replace(/:\d+$/, '').toLowerCase()

export function createFrontServer({ scheme, port, ...options }: FrontServerOptions): FrontServer {
  const sockets = new Set<Duplex>()
  let server: Server | Http2SecureServer | undefined

  function decide(request: ProxiedRequest): Passage | Answer {
    // An absolute form or an asterisk is a request to a forward proxy, or to nobody.
    if (!(request.url ?? '/').startsWith('/'))
      return { status: 400, message: 'the path of the request must begin with a slash' }
    const name = scheme === 'https' && (request.socket as TLSSocket).servername
    return options.decide(request, { port, scheme, ...(name && { servername: name }) })
  }

  function forwarding(request: ProxiedRequest, endpoint: Endpoint, passage: Passage): Forwarding {
    const headers = requestHeaders(request.headers, {
      client: request.socket.remoteAddress ?? '',
      host: authorityOf(request),
      scheme,
    })
    passage.changeRequest?.(headers)
    const protocol = secure.includes((endpoint.speaks ?? '').toLowerCase()) ? ('https:' as const) : ('http:' as const)
    return {
      to: { protocol, host: endpoint.host, port: endpoint.port },
      path: passage.path ?? request.url ?? '/',
      headers,
      answer: (_status, passed) => {
        passage.changeResponse?.(passed)
        return []
      },
    }
  }

  async function serve(request: ProxiedRequest, response: ServerResponse): Promise<void> {
    request.on('error', () => {})
    response.on('error', () => {})
    const say = ({ status, message, headers }: Answer) => {
      if (response.headersSent) return void response.destroy?.()
      response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers })
      response.end(message && `${message}\n`)
    }
    let late: AbortSignal | undefined
    try {
      const decision = decide(request)
      if (isAnswer(decision)) return say(decision)
      if (decision.timeoutMs !== undefined) late = AbortSignal.timeout(decision.timeoutMs)
      for (const mirror of decision.mirrors ?? []) mirrorRequest(request, forwarding(request, mirror, decision))
      const forward = forwarding(request, decision.endpoint, decision)
      await forwardRequest(request, response, late ? { ...forward, signal: late } : forward)
    } catch (error) {
      say(late?.aborted ? { status: 504, message: 'the server behind this address took too long' } : refusalOf(error))
    }
  }

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer) {
    socket.on('error', () => {})
    const say = ({ status, message, headers = {} }: Answer) => {
      if (!socket.writable) return
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
      socket.end(
        `HTTP/1.1 ${status} ${statusText(status)}\r\nconnection: close\r\n${lines.join('')}content-length: ${message.length + 1}\r\n\r\n${message}\n`,
      )
    }
    try {
      const decision = decide(request)
      if (isAnswer(decision)) return say(decision)
      await forwardUpgrade(request, socket, head, forwarding(request, decision.endpoint, decision))
    } catch (error) {
      say(refusalOf(error))
    }
  }

  const track = (socket: Duplex) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  }

  function makePlain(): Server {
    const http = process
      .getBuiltinModule('node:http')
      .createServer((request, response) => void serve(request, response))
    http.on('upgrade', (request, socket, head) => void upgrade(request, socket, head))
    http.on('connection', track)
    return http
  }

  function makeSecure(): Http2SecureServer {
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
    https.on('request', (request, response) => void serve(request, response as unknown as ServerResponse))
    https.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => void upgrade(request, socket, head))
    https.on('secureConnection', track)
    https.on('tlsClientError', () => {})
    https.on('sessionError', () => {})
    return https
  }

  return {
    async listen() {
      const made = scheme === 'https' ? makeSecure() : makePlain()
      try {
        await listenOn(made, port, options.host)
      } catch (error) {
        made.close()
        throw error
      }
      server = made
    },
    async close() {
      const closed = server && new Promise((resolve) => server!.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
      server = undefined
    },
  }
}

function refusalOf(error: unknown): Answer {
  if (error instanceof Unreachable) return { status: 502, message: nobody }
  return { status: 500, message: 'the request could not be handed on' }
}

const statusText = (status: number): string =>
  process.getBuiltinModule('node:http').STATUS_CODES[status] ?? 'Internal Server Error'

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
