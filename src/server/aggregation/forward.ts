// A request on its way to the server that answers its group version: with the user that this server authenticated in
// X-Remote headers, and the client certificate that makes them credible (kube-aggregator handler_proxy.go and
// client-go/transport/round_trippers.go, 1.36).

import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import type { Agent, RequestOptions } from 'node:https'
import type { Duplex } from 'node:stream'
import { ApiError } from '../../api/errors.ts'
import type { ApiRequest, ApiResponse, UserInfo } from '../../api/exchange.ts'
import { responseHeaders } from '../../wire/proxy-headers.ts'
import { forwardUpgrade } from '../../wire/reverse-proxy.ts'
import { isBytes } from '../body.ts'
import { withoutToken } from '../subresources/proxy.ts'
import type { Remote } from './remotes.ts'
import type { Destination } from './resolve-service.ts'
import { tlsProblem } from './tls-problem.ts'

/** How this server shows that it is the one that may say who asks. */
export interface ProxyIdentity {
  cert: string
  key: string
}

export interface Asked {
  method: string
  /** Path and query, percent-encoded. */
  path: string
  headers: OutgoingHttpHeaders
  body?: Uint8Array | string
  signal?: AbortSignal
}

export interface Answer {
  status: number
  headers: Record<string, string | string[]>
  body: AsyncIterable<Uint8Array>
}

/** Brings a request to the remote server. @throws Error that says why not */
export type ReachRemote = (remote: Remote, asked: Asked) => Promise<Answer>

const own = (name: string): boolean =>
  name === 'authorization' ||
  name === 'host' ||
  name === 'content-length' ||
  name === 'accept-encoding' ||
  name.startsWith('x-remote-') ||
  name.startsWith('impersonate-')

export const tlsOf = (remote: Remote, identity: ProxyIdentity | undefined) => ({
  servername: `${remote.service.name}.${remote.service.namespace}.svc`,
  rejectUnauthorized: !remote.insecure,
  ...(remote.ca && { ca: remote.ca, allowPartialTrustChain: true }),
  ...identity,
})

export const hostOf = ({ service }: Remote): string => `${service.name}.${service.namespace}.svc:${service.port}`

/** Who asks, for the server behind. */
export function userHeaders(user: UserInfo): OutgoingHttpHeaders {
  const extra = Object.entries(user.extra ?? {}).map(([key, values]) => [
    `x-remote-extra-${encodeURIComponent(key.toLowerCase())}`,
    values,
  ])
  return {
    'x-remote-user': user.name,
    'x-remote-group': user.groups,
    ...(user.uid && { 'x-remote-uid': user.uid }),
    ...Object.fromEntries(extra),
  }
}

export function createReach(
  resolve: (remote: Remote) => Destination,
  identity: () => ProxyIdentity | undefined,
): ReachRemote {
  let agent: Agent | undefined
  return async (remote, { body, signal, headers, ...asked }) => {
    const https = process.getBuiltinModule('node:https')
    agent ??= new https.Agent({ keepAlive: true, maxFreeSockets: 16 })
    const to = resolve(remote)
    const options: RequestOptions = {
      ...asked,
      ...tlsOf(remote, identity()),
      host: to.host,
      port: to.port,
      agent,
      setHost: false,
      headers: {
        ...headers,
        host: hostOf(remote),
        ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }),
      },
      ...(signal && { signal }),
    }
    const message = await new Promise<IncomingMessage>((settle, fail) => {
      const request = https.request(options, settle)
      request.on('error', (error) => fail(new Error(tlsProblem(error), { cause: error })))
      request.end(body)
    })
    return {
      status: message.statusCode ?? 502,
      headers: responseHeaders(message.headers),
      body: message as AsyncIterable<Uint8Array>,
    }
  }
}

/** The answer of the other server as this server's. @throws ApiError ServiceUnavailable */
export async function forward(
  reach: ReachRemote,
  remote: Remote,
  request: ApiRequest,
  user: UserInfo,
): Promise<ApiResponse> {
  if (!remote.available) throw new ApiError('ServiceUnavailable', 'service unavailable')
  const headers = passedHeaders(request.headers, user)
  const { body } = request
  const bytes = body === undefined || isBytes(body) ? body : JSON.stringify(body)
  if (typeof bytes === 'string') headers['content-type'] ??= 'application/json'
  const query = request.query.toString()
  const path = request.path.split('/').map(encodeURIComponent).join('/')
  try {
    const answer = await reach(remote, {
      method: request.method,
      path: query ? `${path}?${query}` : path,
      headers,
      ...(bytes !== undefined && { body: bytes }),
      ...(request.signal && { signal: request.signal }),
    })
    return { status: answer.status, headers: single(answer.headers), stream: atOnce(answer.body, request.signal) }
  } catch (error) {
    throw new ApiError('ServiceUnavailable', `error trying to reach service: ${(error as Error).message}`, undefined, {
      cause: error,
    })
  }
}

function passedHeaders(sent: Record<string, string | string[] | undefined>, user: UserInfo): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = { ...userHeaders(user) }
  for (const [name, value] of Object.entries(responseHeaders(withoutToken(sent)))) if (!own(name)) headers[name] = value
  return headers
}

/** WebSocket and SPDY streams of the other server. @throws ApiError before anything was written */
export async function upgrade(
  remote: Remote,
  resolve: () => Destination,
  identity: ProxyIdentity | undefined,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  user: UserInfo,
): Promise<void> {
  if (!remote.available) throw new ApiError('ServiceUnavailable', 'service unavailable')
  try {
    await forwardUpgrade(request, socket, head, {
      to: { protocol: 'https:', ...resolve(), tls: tlsOf(remote, identity) },
      path: request.url ?? '/',
      headers: { ...passedHeaders(request.headers, user), host: hostOf(remote) },
    })
  } catch (error) {
    throw new ApiError('ServiceUnavailable', `error trying to reach service: ${(error as Error).message}`)
  }
}

const single = (headers: Record<string, string | string[]>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value].flat().join(', ')]))

/** A watch in which nothing happens yet has begun all the same: its headers go out before its first event. */
async function* atOnce(body: AsyncIterable<Uint8Array>, signal?: AbortSignal): AsyncIterable<Uint8Array> {
  yield new Uint8Array()
  try {
    yield* body
  } catch (error) {
    // The client went away, and the connection behind it with it.
    if (!signal?.aborted) throw error
  }
}
