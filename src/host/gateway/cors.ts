// The CORS filter: what browsers may do with answers of another origin (gateway-api, HTTPCORSFilter, 1.5; the Fetch
// standard's CORS protocol). Pure.

import type { Answer, Headers } from '../ingress/passage.ts'
import type { Asked } from './match.ts'

export interface Cors {
  allowOrigins?: string[]
  allowCredentials?: boolean
  allowMethods?: string[]
  allowHeaders?: string[]
  exposeHeaders?: string[]
  maxAge?: number
}

const ports: Record<string, string> = { http: '80', https: '443' }

/** Scheme, host and port of 'https://*.example.com:8443'. */
function parts(origin: string): [scheme: string, host: string, port: string] | undefined {
  const found = /^(https?):\/\/([^:/]+)(?::(\d+))?$/.exec(origin.toLowerCase())
  return found ? [found[1]!, found[2]!, found[3] ?? ports[found[1]!]!] : undefined
}

function isAllowed(origin: string, pattern: string): boolean {
  if (pattern === '*') return true
  const [own, wanted] = [parts(origin), parts(pattern)]
  if (!own || !wanted || own[0] !== wanted[0] || own[2] !== wanted[2]) return false
  const [host, name] = [own[1], wanted[1]]
  if (name === '*') return true
  return name.startsWith('*.') ? host.endsWith(name.slice(1)) && host.length > name.length - 1 : host === name
}

const one = (headers: Asked['headers'], name: string): string => [headers[name] ?? []].flat().join(', ')

/** With credentials a browser takes '*' for a name: then what was asked for is answered. */
function listed(allowed: string[], cors: Cors, asked: string): string | undefined {
  if (!allowed.includes('*')) return allowed.join(', ') || undefined
  return cors.allowCredentials ? asked || undefined : '*'
}

/** What is said of an answer; nothing when the request names no origin, or one that is not allowed. */
function headersFor(cors: Cors, { headers }: Asked): Headers | undefined {
  const origin = one(headers, 'origin')
  const { allowOrigins = [], allowCredentials, exposeHeaders = [] } = cors
  if (!origin || !allowOrigins.some((pattern) => isAllowed(origin, pattern))) return undefined
  const everybody = allowOrigins.includes('*') && !allowCredentials
  const exposed = listed(exposeHeaders, cors, '')
  return {
    'access-control-allow-origin': everybody ? '*' : origin,
    ...(allowCredentials && { 'access-control-allow-credentials': 'true' }),
    ...(exposed && { 'access-control-expose-headers': exposed }),
    ...(!everybody && { vary: 'Origin' }),
  }
}

/** The gateway answers a preflight itself; undefined for every other request. */
export function preflight(cors: Cors, asked: Asked): Answer | undefined {
  const method = one(asked.headers, 'access-control-request-method')
  if (asked.method !== 'OPTIONS' || !method || !one(asked.headers, 'origin')) return undefined
  const headers = headersFor(cors, asked)
  if (!headers) return { status: 204, message: '' }
  const { 'access-control-expose-headers': _, ...said } = headers
  const methods = listed(cors.allowMethods ?? [], cors, method)
  const names = listed(cors.allowHeaders ?? [], cors, one(asked.headers, 'access-control-request-headers'))
  return {
    status: 204,
    message: '',
    headers: {
      ...said,
      ...(methods && { 'access-control-allow-methods': methods }),
      ...(names && { 'access-control-allow-headers': names }),
      'access-control-max-age': `${cors.maxAge ?? 5}`,
    },
  }
}

const ofCors = /^access-control-/

/** What the backend says of the matter does not count. Changes `headers` in place. */
export function shareAnswer(cors: Cors, asked: Asked, headers: Headers): void {
  for (const name of Object.keys(headers)) if (ofCors.test(name)) delete headers[name]
  const { vary, ...said } = headersFor(cors, asked) ?? {}
  Object.assign(headers, said)
  if (vary) headers.vary = [headers.vary ?? [], vary].flat().join(', ')
}
