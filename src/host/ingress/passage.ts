// What becomes of a request that comes in: it goes to an endpoint, changed or not, or is answered here.

import type { Endpoint } from './backends.ts'

export type Headers = Record<string, string | string[]>

export interface Passage {
  endpoint: Endpoint
  /** Path and query as they are sent; default: as they came. */
  path?: string
  /** Change what is sent on and what comes back, in place. */
  changeRequest?(headers: Headers): void
  changeResponse?(headers: Headers): void
  /** From here on the answer is 504. */
  timeoutMs?: number
  /** Who gets a copy; what they answer is nobody's business. */
  mirrors?: Endpoint[]
}

export interface Answer {
  status: number
  message: string
  headers?: Headers
}

export const isAnswer = (decision: object): decision is Answer => 'status' in decision

export type Scheme = 'http' | 'https'

/** Where a request came in. */
export interface Place {
  port: number
  scheme: Scheme
  /** The name that the client gave TLS. */
  servername?: string
}
