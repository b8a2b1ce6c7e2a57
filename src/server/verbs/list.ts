// list: consistent pages at one revision, with the meanings of resourceVersion (apiserver storage/etcd3, 1.36).

import { ApiError, type FieldError, invalid } from '../../api/errors.ts'
import type { ApiResponse } from '../../api/exchange.ts'
import { Compacted } from '../../store/store.ts'
import { formOf } from '../accept.ts'
import { badRequest, type Call } from '../call.ts'
import { listAs } from '../forms.ts'
import type { Stored } from '../objects.ts'
import { createMatcher, type Matcher } from '../selection.ts'

export interface Page {
  items: Stored[]
  revision: number
  continue?: string
  remaining?: number
}

interface Position {
  revision: number
  /** Key after which the page starts. */
  after: string
  /** How many are left, when no selector is in the way. */
  remaining?: number
}

export async function list(call: Call): Promise<ApiResponse> {
  const page = await listPage(call)
  return { status: 200, ...listAs(formOf(call.request.headers.accept), call, page) }
}

export async function listPage(call: Call): Promise<Page> {
  const { query } = call.request
  validateListOptions(query)
  const matcher = createMatcher(call.resource, query)
  const limit = numberOf(query, 'limit')
  const token = query.get('continue')
  if (token) return continued(call, matcher, limit, decodeToken(call, token))
  const current = call.engine.objects.store.revision()
  const asked = revisionOf(query.get('resourceVersion'))
  const match = query.get('resourceVersionMatch')
  if (asked > current) throw tooNew(asked, current)
  const exact = asked > 0 && (match === 'Exact' || (match === null && limit > 0))
  return pageOf(call, matcher, limit, { revision: exact ? asked : current, after: '' })
}

async function continued(call: Call, matcher: Matcher, limit: number, position: Position): Promise<Page> {
  const { store } = call.engine.objects
  // A token without a revision goes on with what is there now.
  const at = position.revision > 0 ? position : { ...position, revision: store.revision() }
  try {
    return await pageOf(call, matcher, limit, at)
  } catch (error) {
    if (!isExpired(error)) throw error
    const fresh = encodeToken({ revision: -1, after: position.after })
    const expired = new ApiError(
      'Expired',
      'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.',
    )
    Object.defineProperty(expired, 'toStatus', {
      value: () => ({ ...ApiError.prototype.toStatus.call(expired), metadata: { continue: fresh } }),
    })
    throw expired
  }
}

const isExpired = (error: unknown): boolean => error instanceof ApiError && error.reason === 'Expired'

async function pageOf(call: Call, matcher: Matcher, limit: number, position: Position): Promise<Page> {
  const { revision } = position
  const items: Stored[] = []
  let after: string | undefined = position.after || undefined
  let more = false
  // With a selector a page of the store may hold too few that match: read on until the answer is full.
  for (;;) {
    const want = limit > 0 ? (matcher.everything ? limit + 1 : Math.max(limit * 2, 500)) : undefined
    const chunk: Stored[] = await readChunk(call, matcher, revision, { after, limit: want })
    for (const stored of chunk) {
      if (!matcher.matches(stored.object)) continue
      if (limit > 0 && items.length === limit) {
        more = true
        break
      }
      items.push(stored)
      after = stored.key
    }
    if (more || want === undefined || chunk.length < want) break
    if (items.length < limit) after = chunk.at(-1)!.key
  }
  if (!more) return { items, revision }
  const remaining = matcher.everything ? remainingAfter(call, position, items.length) : undefined
  const token = encodeToken({ revision, after: items.at(-1)!.key, ...(remaining !== undefined && { remaining }) })
  return { items, revision, continue: token, ...(remaining !== undefined && { remaining }) }
}

async function readChunk(
  call: Call,
  matcher: Matcher,
  revision: number,
  page: { after?: string | undefined; limit?: number | undefined },
): Promise<Stored[]> {
  const { objects } = call.engine
  const { resource, info } = call
  const given = {
    ...(page.after !== undefined && { after: page.after }),
    ...(page.limit !== undefined && { limit: page.limit }),
  }
  if (matcher.name !== undefined && (info.namespace || !resource.namespaced) && revision === objects.store.revision()) {
    const one = page.after === undefined ? objects.get(resource, info.namespace, matcher.name) : undefined
    return one ? [one] : []
  }
  if (revision === objects.store.revision()) return objects.list(resource, info.namespace, given)
  try {
    return await objects.listAt(resource, info.namespace, revision, given)
  } catch (error) {
    if (error instanceof Compacted)
      throw new ApiError('Expired', 'The resourceVersion for the provided list is too old.')
    throw error
  }
}

function remainingAfter(call: Call, position: Position, shown: number): number | undefined {
  if (position.remaining !== undefined) return position.remaining - shown
  const { objects } = call.engine
  if (position.revision !== objects.store.revision()) return undefined
  const { resource, info } = call
  // Only a list that goes on inconsistently comes here with a position: its token knew no number.
  if (position.after) return objects.list(resource, info.namespace, { after: position.after }).length - shown
  return objects.count(resource, info.namespace) - shown
}

// The token is opaque to clients; like upstream's it is base64 of JSON.
const encodeToken = (position: Position): string =>
  Buffer.from(
    JSON.stringify({ v: 'meta.k8s.io/v1', rv: position.revision, start: position.after, n: position.remaining }),
  ).toString('base64url')

function decodeToken(call: Call, token: string): Position {
  try {
    const { v, rv, start, n } = JSON.parse(Buffer.from(token, 'base64url').toString())
    // The key comes back from outside: it may only point into what this URL lists.
    const own = typeof start === 'string' && start.startsWith(call.resource.prefix)
    if (v === 'meta.k8s.io/v1' && Number.isSafeInteger(rv) && own)
      return { revision: rv, after: start, ...(Number.isSafeInteger(n) && { remaining: n }) }
  } catch {
    // Falls through to the refusal.
  }
  throw badRequest('continue key is not valid: the token was not issued by this server for this list')
}

export function numberOf(query: URLSearchParams, name: string): number {
  const text = query.get(name)
  if (!text) return 0
  const value = Number(text)
  if (!Number.isSafeInteger(value))
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`)
  return Math.max(value, 0)
}

/** 0 for unset and '0'. */
export function revisionOf(text: string | null): number {
  if (!text) return 0
  if (!/^\d{1,16}$/.test(text))
    throw badRequest(
      `resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
    )
  return Number(text)
}

function tooNew(asked: number, current: number): ApiError {
  return new ApiError('Timeout', `Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  })
}

const forbiddenOption = (field: string, detail: string): FieldError => ({ type: 'FieldValueForbidden', field, detail })

function validateListOptions(query: URLSearchParams): void {
  const errors: FieldError[] = []
  const match = query.get('resourceVersionMatch')
  const version = query.get('resourceVersion')
  if (query.get('sendInitialEvents') !== null)
    errors.push(forbiddenOption('sendInitialEvents', 'sendInitialEvents is forbidden for list'))
  if (match) {
    if (!version)
      errors.push(
        forbiddenOption('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided'),
      )
    if (query.get('continue'))
      errors.push(
        forbiddenOption('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided'),
      )
    if (match !== 'Exact' && match !== 'NotOlderThan')
      errors.push({
        type: 'FieldValueNotSupported',
        field: 'resourceVersionMatch',
        value: match,
        detail: 'supported values: "Exact", "NotOlderThan"',
      })
    if (match === 'Exact' && version === '0')
      errors.push(
        forbiddenOption('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'),
      )
  }
  if (errors.length > 0) throw invalid('ListOptions', '', errors, 'meta.k8s.io')
  if (query.get('continue') && version && version !== '0')
    throw badRequest('specifying resource version is not allowed when using continue')
}
