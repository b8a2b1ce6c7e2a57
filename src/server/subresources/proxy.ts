// pods/proxy, services/proxy and nodes/proxy: the API server as a way to what listens in the cluster
// (apimachinery/pkg/util/proxy/upgradeaware.go, 1.36). Authentication and authorization are done before.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { ApiError } from '../../api/errors.ts'
import type { ApiRequest, ApiResponse } from '../../api/exchange.ts'
import { requestHeaders } from '../../wire/proxy-headers.ts'
import {
  type Forwarding,
  forwardRequest,
  forwardUpgrade,
  type ProxiedRequest,
  Unreachable,
} from '../../wire/reverse-proxy.ts'
import { methodNotAllowed } from '../call.ts'
import type { RequestInfo } from '../request.ts'
import { type LinkContext, linkRewriter, rewriteLink } from './proxy-links.ts'
import { type Find, nodeTarget, type ProxyTarget, podTarget, serviceTarget } from './proxy-target.ts'

/** What the kubelet would answer at a path; undefined when there is no such page. */
export type NodePages = (
  request: Pick<ApiRequest, 'method' | 'path' | 'query' | 'signal'>,
) => Promise<ApiResponse | undefined>

export const isProxied = (info: RequestInfo): boolean =>
  info.subresource === 'proxy' && info.group === '' && ['pods', 'services', 'nodes'].includes(info.resource)

/** The URL as it came, cut behind …/proxy: what is encoded must stay so. */
export function splitAtProxy(url: string, namespaced: boolean): { prefix: string; path: string; search: string } {
  const mark = url.indexOf('?')
  const path = mark < 0 ? url : url.slice(0, mark)
  const search = mark < 0 ? '' : url.slice(mark)
  // /api/v1/namespaces/<namespace>/pods/<name>/proxy or /api/v1/nodes/<name>/proxy
  const segments = namespaced ? 7 : 5
  let end = 0
  for (let count = 0; count < segments && end >= 0; count++) end = path.indexOf('/', path[end] === '/' ? end + 1 : end)
  return end < 0 ? { prefix: path, path: '', search } : { prefix: path.slice(0, end), path: path.slice(end), search }
}

const own = (name: string): boolean =>
  name === 'authorization' || name.startsWith('impersonate-') || name.startsWith('x-remote-')

/** A WebSocket may carry the bearer token as a protocol; that one is for this server alone. */
export function withoutToken(headers: Record<string, string | string[] | undefined>) {
  const protocols = String(headers['sec-websocket-protocol'] ?? '').split(',')
  const kept = protocols.map((name) => name.trim()).filter((name) => name && !name.startsWith('base64url.bearer.'))
  const { 'sec-websocket-protocol': _all, ...others } = headers
  return kept.length > 0 ? { ...others, 'sec-websocket-protocol': kept.join(', ') } : others
}

export interface ApiProxy {
  /** Answers on `response`, or returns the answer of one of the node's own pages. */
  request(request: ProxiedRequest, response: ServerResponse, info: RequestInfo): Promise<ApiResponse | undefined>
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, info: RequestInfo): Promise<void>
}

export function createProxy(find: Find, nodePages?: NodePages): ApiProxy {
  function targetOf(info: RequestInfo): ProxyTarget | 'kubelet' {
    if (info.resource === 'pods') return podTarget(info.name, info.namespace, find)
    if (info.resource === 'services') return serviceTarget(info.name, info.namespace, find)
    return nodeTarget(info.name, find)
  }

  async function page(request: ProxiedRequest, path: string, search: string): Promise<ApiResponse> {
    const method = request.method as ApiRequest['method']
    if (method !== 'GET' && method !== 'HEAD') throw methodNotAllowed()
    const ending = new AbortController()
    request.on('close', () => ending.abort())
    const query = new URLSearchParams(search)
    const found = await nodePages?.({ method, path: decodeURIComponent(path), query, signal: ending.signal })
    return found ?? { status: 404, text: '404 page not found\n', headers: { 'content-type': 'text/plain' } }
  }

  return {
    async request(request, response, info) {
      const target = targetOf(info)
      const { prefix, path, search } = splitAtProxy(request.url ?? '', info.resource !== 'nodes')
      if (path === '' && ['GET', 'HEAD'].includes(request.method ?? '')) {
        response.writeHead(301, { location: `${prefix}/${search}` })
        response.end()
        return undefined
      }
      if (target === 'kubelet') return await page(request, path, search)
      const context = contextOf(request, prefix, target)
      const forwarding = forwardingTo(target, request, path, search, context)
      await forwardRequest(request, response, {
        ...forwarding,
        answer: (_status, headers) => links(headers, context),
      }).catch(unavailable)
      return undefined
    },
    async upgrade(request, socket, head, info) {
      const target = targetOf(info)
      if (target === 'kubelet') throw new ApiError('BadRequest', 'the pages of a node are not streams')
      const { prefix, path, search } = splitAtProxy(request.url ?? '', info.resource !== 'nodes')
      const context = contextOf(request, prefix, target)
      const forwarding = forwardingTo(target, request, path, search, context)
      await forwardUpgrade(request, socket, head, forwarding).catch(unavailable)
    },
  }
}

function unavailable(error: unknown): never {
  if (!(error instanceof Unreachable)) throw error
  throw new ApiError('ServiceUnavailable', `error trying to reach service: ${error.message}`)
}

function contextOf(request: ProxiedRequest, prefix: string, { host, port }: ProxyTarget): LinkContext {
  const asked = request.headers[':authority'] ?? request.headers.host ?? ''
  return { prefix: decodeURI(prefix), scheme: 'https', host: String(asked), target: `${host}:${port}` }
}

function forwardingTo(
  to: ProxyTarget,
  request: ProxiedRequest,
  path: string,
  search: string,
  context: LinkContext,
): Forwarding {
  const headers = requestHeaders(withoutToken(request.headers), {
    client: request.socket?.remoteAddress ?? '',
    host: context.host,
    scheme: context.scheme,
    uri: `${context.prefix}${path}`,
    stops: own,
  })
  return { to, path: `${path || '/'}${search}`, headers }
}

/** Changes the headers in place; returns what the body must go through. */
function links(headers: Record<string, string | string[]>, context: LinkContext) {
  // The cluster's API decides who may read it from other pages, not what it proxies.
  for (const name of Object.keys(headers)) if (name.startsWith('access-control-')) delete headers[name]
  if (typeof headers.location === 'string') headers.location = rewriteLink(headers.location, context)
  const type = String(headers['content-type'] ?? '')
    .split(';')[0]!
    .trim()
    .toLowerCase()
  if (type !== 'text/html' || headers.location !== undefined) return []
  const unpack = unpacker(String(headers['content-encoding'] ?? '').toLowerCase())
  if (!unpack) return []
  delete headers['content-length']
  delete headers['content-encoding']
  return [...unpack, linkRewriter(context)]
}

/** Undefined for an encoding that nobody here can read: such a page passes as it is. */
function unpacker(encoding: string) {
  if (encoding === '' || encoding === 'identity') return []
  const zlib = process.getBuiltinModule('node:zlib')
  if (encoding === 'gzip') return [zlib.createGunzip()]
  if (encoding === 'deflate') return [zlib.createInflate()]
  return undefined
}
