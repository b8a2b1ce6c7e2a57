// One request and its answer, the way client and server see it whatever carries it: a function call in the same
// process, or HTTP.

import type { ApiObject } from './meta.ts'

export interface UserInfo {
  name: string
  uid?: string
  groups: string[]
  extra?: Record<string, string[]>
}

export interface ApiRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS'
  /** Decoded path without query: /api/v1/namespaces/default/pods/web */
  path: string
  query: URLSearchParams
  /** Lower-case names. */
  headers: Record<string, string>
  /** Bytes from the network, or an object when client and server share a process (never changed by the server). */
  body?: Uint8Array | object
  /** Address of a client on the network. */
  source?: string
  /** Set by the transport in-process, by authentication over the network. */
  user?: UserInfo
  /** Aborted when the client goes away: ends a watch. */
  signal?: AbortSignal
}

export interface WatchEvent<T = ApiObject> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'
  object: T
}

/** Exactly one of `object`, `events`, `stream` and `text` is set. */
export interface ApiResponse {
  status: number
  headers?: Record<string, string>
  /** A JSON answer. Shared with the server's cache: never change it. */
  object?: object
  /** `object` as JSON text where the server already has it. */
  json?: string
  /** A watch. */
  events?: AsyncIterable<WatchEvent>
  /** Raw bytes as they come (logs). */
  stream?: AsyncIterable<Uint8Array>
  text?: string
  warnings?: string[]
}
