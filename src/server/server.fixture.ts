// A server on the memory store for tests, and short ways to ask it.

import { generateKeyPairSync } from 'node:crypto'
import type { ApiRequest, ApiResponse, UserInfo, WatchEvent } from '../api/exchange.ts'
import { kinds } from '../kinds/index.ts'
import { createMemoryStore } from '../store/memory.ts'
import type { Store } from '../store/store.ts'
import { type ApiServer, type ApiServerOptions, createApiServer } from './apiserver.ts'
import { systemUser } from './auth/authn.ts'

const accountKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey

export interface TestServer {
  server: ApiServer
  store: Store
  call(
    method: ApiRequest['method'],
    url: string,
    body?: object | string,
    more?: Partial<ApiRequest>,
  ): Promise<ApiResponse>
  /** The answer's object; fails the test when the status is not the expected one. */
  ok(method: ApiRequest['method'], url: string, body?: object | string, more?: Partial<ApiRequest>): Promise<any>
  /** The message of a refusal with this code. */
  refused(
    code: number,
    method: ApiRequest['method'],
    url: string,
    body?: object | string,
    more?: Partial<ApiRequest>,
  ): Promise<string>
}

export async function startServer(options: Partial<ApiServerOptions> = {}): Promise<TestServer> {
  const store = options.store ?? createMemoryStore()
  const server = createApiServer({
    store,
    kinds,
    pki: { accountKey },
    services: { cidr: '10.96.0.0/24', nodePorts: { from: 30000, to: 30099 } },
    ...options,
  })
  await server.start()

  async function call(
    method: ApiRequest['method'],
    url: string,
    body?: object | string,
    more: Partial<ApiRequest> = {},
  ): Promise<ApiResponse> {
    const [path = '', query = ''] = url.split('?')
    const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body
    return server.handle({
      method,
      path,
      query: new URLSearchParams(query),
      user: systemUser,
      ...more,
      headers: { 'user-agent': 'test/1', ...more.headers },
      ...(bytes && { body: bytes }),
    })
  }

  return {
    server,
    store,
    call,
    async ok(method, url, body, more) {
      const response = await call(method, url, body, more)
      if (response.status >= 300)
        throw new Error(`${method} ${url}: ${response.status} ${JSON.stringify(response.object)}`)
      return response.object
    },
    async refused(code, method, url, body, more) {
      const response = await call(method, url, body, more)
      if (response.status !== code)
        throw new Error(`${method} ${url}: ${response.status} ${JSON.stringify(response.object)}`)
      return (response.object as { message: string }).message
    },
  }
}

export const userNamed = (name: string, ...groups: string[]): UserInfo => ({
  name,
  groups: [...groups, 'system:authenticated'],
})

export const configMap = (name: string, data: Record<string, string> = {}, labels?: Record<string, string>) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...(labels && { labels }) },
  data,
})

export const maps = '/api/v1/namespaces/default/configmaps'

export const patchType = (type: 'json' | 'merge' | 'strategic' | 'apply') => ({
  headers: {
    'content-type': {
      json: 'application/json-patch+json',
      merge: 'application/merge-patch+json',
      strategic: 'application/strategic-merge-patch+json',
      apply: 'application/apply-patch+yaml',
    }[type],
  },
})

/** Reads `count` events and closes the watch. */
export async function take(response: ApiResponse, count: number): Promise<WatchEvent<any>[]> {
  const events: WatchEvent[] = []
  if (!response.events) throw new Error(`no watch: ${JSON.stringify(response.object)}`)
  for await (const event of response.events) {
    events.push(event)
    if (events.length === count) break
  }
  return events
}

export const told = (events: WatchEvent<any>[]): string[] =>
  events.map(({ type, object }) => `${type} ${object.metadata?.name}`)
