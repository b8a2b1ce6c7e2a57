// watch: history from a revision, then what happens, filtered by selectors (an object that starts to match is ADDED, one
// that stops is DELETED), with bookmarks, initial events (WatchList) and an end.

import { ApiError, type FieldError, invalid, isApiError } from '../../api/errors.ts'
import type { ApiResponse, WatchEvent } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import { Compacted } from '../../store/store.ts'
import { formOf } from '../accept.ts'
import type { Call } from '../call.ts'
import { type EventForm, eventForm } from '../forms.ts'
import type { Change } from '../objects.ts'
import { createMatcher, type Matcher } from '../selection.ts'
import { createEventQueue, type EventQueue } from './event-queue.ts'
import { numberOf, revisionOf } from './list.ts'

/** Upstream ends watches after 30 to 60 minutes where the client names no end (min-request-timeout). */
const defaultSeconds = 1800
const bookmarkEvery = 60_000
/** How far a reader may fall behind. */
const queueLimit = 10_000

export function watch(call: Call): ApiResponse {
  const { query } = call.request
  validateWatchOptions(query)
  const matcher = createMatcher(call.resource, query)
  const form = eventForm(formOf(call.request.headers.accept), call)
  const bookmarks = isTrue(query.get('allowWatchBookmarks'))
  const version = query.get('resourceVersion')
  const from = revisionOf(version)
  const asksInitial = query.get('sendInitialEvents')
  // Without a revision a watch starts with the state as it is, told as ADDED events.
  const initial = asksInitial === null ? from === 0 : isTrue(asksInitial)

  const cleanups: (() => void)[] = []
  const queue = createEventQueue(() => {
    for (const cleanup of cleanups.splice(0)) cleanup()
  })
  start(call, matcher, form, queue, cleanups, {
    from,
    initial,
    endOfInitial: asksInitial !== null && initial && bookmarks,
  })
  queue.bound(queueLimit)
  limitTime(call, queue, cleanups, numberOf(query, 'timeoutSeconds'))
  if (bookmarks) {
    const timer = setInterval(
      () => queue.push(bookmark(call, form, call.engine.objects.store.revision())),
      bookmarkEvery,
    )
    timer.unref()
    cleanups.push(() => clearInterval(timer))
  }
  return { status: 200, events: queue }
}

const isTrue = (value: string | null): boolean => value !== null && value !== 'false' && value !== '0'

interface Start {
  from: number
  initial: boolean
  endOfInitial: boolean
}

function start(
  call: Call,
  matcher: Matcher,
  form: EventForm,
  queue: EventQueue,
  cleanups: (() => void)[],
  how: Start,
): void {
  const { objects } = call.engine
  let after = how.from
  if (how.initial) {
    after = objects.store.revision()
    for (const stored of objects.list(call.resource, call.info.namespace))
      if (matcher.matches(stored.object)) queue.push(form.of('ADDED', stored.object, stored.json))
    if (how.endOfInitial) queue.push(bookmark(call, form, after, { 'k8s.io/initial-events-end': 'true' }))
  }
  if (after === 0) after = objects.store.revision()
  const unreadable = (error: unknown) => {
    const told = isApiError(error) ? error : new ApiError('InternalError', (error as Error).message)
    queue.push({ type: 'ERROR', object: told.toStatus() as unknown as ApiObject })
    queue.end()
  }
  try {
    const watching = objects.watch(
      call.resource,
      call.info.namespace,
      after,
      (changes) => {
        for (const change of changes) {
          const event = eventOf(change, matcher, form)
          if (event) queue.push(event)
        }
      },
      unreadable,
    )
    cleanups.push(() => watching.close())
  } catch (error) {
    if (!(error instanceof Compacted)) throw error
    queue.push({ type: 'ERROR', object: expired(after, error.compacted) as unknown as ApiObject })
    queue.end()
  }
}

const expired = (asked: number, oldest: number) =>
  new ApiError('Expired', `too old resource version: ${asked} (${oldest})`).toStatus()

function eventOf(change: Change, matcher: Matcher, form: EventForm): WatchEvent | undefined {
  const before = change.previous !== undefined && matcher.matches(change.previous)
  if (change.type === 'delete') {
    if (!before) return undefined
    return form.ofChange('DELETED', change)
  }
  const now = matcher.matches(change.object)
  if (now) return form.ofChange(before ? 'MODIFIED' : 'ADDED', change)
  if (!before) return undefined
  // It stopped matching: the client gets the last state that it knew, with the revision of now.
  const { previous } = change
  const metadata = { ...previous!.metadata, resourceVersion: String(change.revision) }
  return form.of('DELETED', { ...previous!, metadata })
}

function bookmark(call: Call, form: EventForm, revision: number, annotations?: Record<string, string>): WatchEvent {
  const { kind, apiVersion } = { kind: call.resource.kind.kind, apiVersion: call.resource.apiVersion }
  const metadata = { resourceVersion: String(revision), creationTimestamp: null, ...(annotations && { annotations }) }
  return form.of('BOOKMARK', { kind, apiVersion, metadata })
}

function limitTime(call: Call, queue: EventQueue, cleanups: (() => void)[], asked: number): void {
  const seconds = asked > 0 ? asked : defaultSeconds * (1 + Math.random())
  const timer = setTimeout(() => queue.end(), Math.min(seconds * 1000, 2 ** 31 - 1))
  // An idle watch must not keep a process alive that has nothing else to do.
  timer.unref()
  cleanups.push(() => clearTimeout(timer))
  const stop = () => queue.end()
  for (const signal of [call.request.signal, call.resource.form?.gone]) {
    if (!signal) continue
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
    cleanups.push(() => signal.removeEventListener('abort', stop))
  }
}

function validateWatchOptions(query: URLSearchParams): void {
  const errors: FieldError[] = []
  const match = query.get('resourceVersionMatch')
  const initial = query.get('sendInitialEvents')
  const forbid = (detail: string) => errors.push({ type: 'FieldValueForbidden', field: 'resourceVersionMatch', detail })
  if (initial !== null && match !== 'NotOlderThan')
    forbid('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan')
  if (match) {
    if (initial === null) forbid('resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided')
    if (match !== 'NotOlderThan')
      errors.push({
        type: 'FieldValueNotSupported',
        field: 'resourceVersionMatch',
        value: match,
        detail: 'supported values: "NotOlderThan"',
      })
    if (query.get('continue')) forbid('resourceVersionMatch is forbidden when continue is provided')
  }
  if (errors.length > 0) throw invalid('ListOptions', '', errors, 'meta.k8s.io')
}
