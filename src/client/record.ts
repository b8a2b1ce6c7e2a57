// Events about objects: the same event again raises its count, many similar ones become one, and a flood is cut.
// Numbers and texts mirrored from client-go tools/record events_cache.go (1.32).

import { ApiError, isApiError } from '../api/errors.ts'
import type { ApiObject, ResourceRef, StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { type Clock, realClock } from '../base/clock.ts'
import { type Logger, silentLogger } from '../base/log.ts'
import type { Client } from './client.ts'

export type EventType = 'Normal' | 'Warning'

export type EventRecorder = (
  object: StoredObject,
  type: EventType,
  reason: string,
  message: string,
  fieldPath?: string,
) => void

export interface Recorder {
  record: EventRecorder
  /** Resolves when all events recorded so far have been sent or given up. */
  flush(): Promise<void>
}

export interface RecorderOptions {
  client: Client
  /** 'kubelet', 'deployment-controller', … */
  component: string
  /** The node, for an agent that runs on one. */
  host?: string
  clock?: Clock
  log?: Logger
}

const events: ResourceRef = { group: '', version: 'v1', resource: 'events' }
const cacheSize = 4096
/** More than this many events that differ only in the message, within the interval, become one. */
const similarLimit = 10
const similarIntervalMs = 600_000
/** Per source and object: so many at once, then one per interval. */
const burst = 25
const refillMs = 300_000
const queueLimit = 1000
const attempts = 3
const retryMs = 10_000

interface Known {
  name: string
  count: number
  firstTimestamp: string
}
interface Similar {
  messages: Set<string>
  last: number
}
interface Bucket {
  tokens: number
  at: number
}

export function createRecorder(options: RecorderOptions): Recorder {
  const { client, component, host, clock = realClock } = options
  const log = (options.log ?? silentLogger).child('events')
  const known = new Map<string, Known>()
  const similar = new Map<string, Similar>()
  const buckets = new Map<string, Bucket>()
  let sending: Promise<void> = Promise.resolve()
  let waiting = 0
  let lastName = 0

  function allowed(subject: string): boolean {
    const now = clock.now()
    const bucket = buckets.get(subject) ?? { tokens: burst, at: now }
    const tokens = Math.min(burst, bucket.tokens + (now - bucket.at) / refillMs)
    remember(buckets, subject, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now })
    return tokens >= 1
  }

  /** The key under which the event counts, and its message: its own, or that of the group of similar ones. */
  function aggregate(group: string, message: string): { key: string; message: string } {
    const now = clock.now()
    let entry = similar.get(group)
    if (!entry || now - entry.last > similarIntervalMs) entry = { messages: new Set(), last: now }
    entry.messages.add(message)
    entry.last = now
    remember(similar, group, entry)
    if (entry.messages.size < similarLimit) return { key: `${group}\n${message}`, message }
    // One message too many is enough to know that there are many.
    entry.messages.delete(entry.messages.values().next().value!)
    return { key: group, message: `(combined from similar events): ${message}` }
  }

  async function send(key: string, event: ApiObject): Promise<void> {
    const { namespace } = event.metadata
    const seen = known.get(key)
    if (seen) {
      seen.count++
      const patch = { count: seen.count, lastTimestamp: event.lastTimestamp, message: event.message }
      try {
        await client.patch(events, seen.name, namespace, 'strategic', patch)
        return
      } catch (error) {
        // Old events are removed by the server: then it begins again, with what we know.
        if (!isApiError(error, 'NotFound')) throw error
        Object.assign(event, { count: seen.count, firstTimestamp: seen.firstTimestamp })
      }
    }
    const created = await client.create(events, event)
    const { count, firstTimestamp } = event
    remember(known, key, { name: created.metadata.name, count, firstTimestamp })
  }

  async function deliver(key: string, event: ApiObject): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await send(key, event)
      } catch (error) {
        const hopeless = error instanceof ApiError && error.reason !== 'ServiceUnavailable'
        if (hopeless || attempt >= attempts) {
          log.debug('event not recorded', { reason: event.reason, object: event.involvedObject.name, error })
          return
        }
        await clock.sleep(retryMs)
      }
    }
  }

  /** Unique per recorder: time in nanoseconds, never the same twice. */
  function nameFor(object: StoredObject): string {
    lastName = Math.max(clock.now() * 1000, lastName + 1)
    return `${object.metadata.name}.${(BigInt(lastName) * 1000n).toString(16)}`
  }

  const record: EventRecorder = (object, type, reason, message, fieldPath) => {
    const { uid } = object.metadata
    if (!allowed(`${component} ${uid}`)) return
    if (waiting >= queueLimit) return log.warn('too many events wait: one is dropped', { reason })
    const group = [object.kind, uid, fieldPath ?? '', type, reason].join('\n')
    const combined = aggregate(group, message)
    const now = formatTime(clock.now())
    const event: ApiObject = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: nameFor(object), namespace: object.metadata.namespace ?? 'default' },
      involvedObject: referenceTo(object, fieldPath),
      reason,
      message: combined.message,
      source: { component, ...(host && { host }) },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
      type,
      reportingComponent: component,
      reportingInstance: host ?? '',
    }
    waiting++
    sending = sending.then(() => deliver(combined.key, event)).finally(() => waiting--)
  }
  return { record, flush: () => sending }
}

const referenceTo = (object: StoredObject, fieldPath?: string): Record<string, unknown> => ({
  kind: object.kind,
  ...(object.metadata.namespace && { namespace: object.metadata.namespace }),
  name: object.metadata.name,
  uid: object.metadata.uid,
  apiVersion: object.apiVersion,
  resourceVersion: object.metadata.resourceVersion,
  ...(fieldPath && { fieldPath }),
})

/** The oldest entry makes room: a recorder must not grow with the number of objects it has ever seen. */
function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key)
  map.set(key, value)
  if (map.size > cacheSize) map.delete(map.keys().next().value!)
}
