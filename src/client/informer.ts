// A live copy of one collection: lists, watches, recovers from 410 and lost connections, and tells who listens. The loop
// follows client-go tools/cache Reflector (1.32); objects are never copied.

import { type ApiError, isApiError } from '../api/errors.ts'
import type { WatchEvent } from '../api/exchange.ts'
import type { ApiObject, ResourceRef, StoredObject } from '../api/meta.ts'
import { groupVersion, objectKey } from '../api/meta.ts'
import { type Clock, realClock } from '../base/clock.ts'
import { type Logger, silentLogger } from '../base/log.ts'
import { backoffDelay } from '../base/retry.ts'
import type { Client } from './client.ts'
import { InformerCache } from './informer-cache.ts'

export interface InformerHandler<T extends ApiObject = StoredObject> {
  /** `old` is set for an update; the same object again after a relist is not told. */
  changed(object: T, old: T | undefined): void
  removed(last: T): void
}

export interface Informer<T extends ApiObject = StoredObject> {
  readonly ref: ResourceRef
  /** By key: 'namespace/name' or 'name'. Never waits. */
  get(key: string): T | undefined
  list(namespace?: string): T[]
  /** Objects whose index `name` has `value`, for example byOwner(uid). */
  byIndex(name: string, value: string): T[]
  addIndex(name: string, values: (object: T) => string[]): void
  addHandler(handler: InformerHandler<T>): void
  /** Resolves after the first list was delivered to all handlers. */
  synced(): Promise<void>
  stop(): void
}

/** One informer per resource for all who ask: a factory that main.ts makes once per program. */
export interface InformerFactory {
  informer<T extends ApiObject = StoredObject>(ref: ResourceRef): Informer<T>
  /** Ends the informer of a resource that is not served any more: nobody may be using it. */
  forget(ref: ResourceRef): void
  stop(): void
}

/** An informer that can be told of this program's own writes, so that a controller reads what it has just written. */
export interface CachingInformer<T extends ApiObject = StoredObject> extends Informer<T> {
  written(object: T): void
  deleted(key: string, uid: string): void
}

export interface CachingInformerFactory extends InformerFactory {
  informer<T extends ApiObject = StoredObject>(ref: ResourceRef): CachingInformer<T>
  /** The informer of the resource if somebody has asked for it already. */
  existing(ref: ResourceRef): CachingInformer | undefined
  /** Resolves when all informers asked for so far have delivered their first list. */
  synced(): Promise<void>
}

export interface InformerOptions {
  client: Client
  clock?: Clock
  log?: Logger
  /** Asks for the first state as watch events (WatchList) instead of one list; falls back when the server refuses. */
  watchList?: boolean
}

const reconnect = { base: 100, max: 30_000, factor: 2, jitter: 1 }
/** A watch that lived this long counts as a success: the next one starts without delay. */
const healthyMs = 1000

export function createInformer<T extends ApiObject = StoredObject>(
  ref: ResourceRef,
  options: InformerOptions,
): CachingInformer<T> {
  const { client, clock = realClock } = options
  const log = (options.log ?? silentLogger).child('informer', { resource: ref.resource })
  const cache = new InformerCache<T>((error) => log.error('a handler failed', { error }))
  const stopping = new AbortController()
  const { promise: synced, resolve: markSynced } = Promise.withResolvers<void>()
  let resourceVersion: string | undefined
  let watchList = options.watchList ?? false

  async function listAll(): Promise<void> {
    const list = await client.list<T>(ref)
    cache.replace(
      list.items.map((item) => typed(item, list, ref)),
      Number(list.metadata.resourceVersion),
    )
    advance(list.metadata.resourceVersion)
    markSynced()
  }

  function advance(version: string | undefined): void {
    if (!version) return
    resourceVersion = version
    cache.revision = Number(version)
  }

  /** Until the first state is complete, `initial` collects it; it is then delivered as a whole, as a list would be. */
  async function follow(initial: Map<string, T> | undefined): Promise<void> {
    const events = client.watch<T>(ref, {
      allowWatchBookmarks: true,
      signal: stopping.signal,
      ...(initial
        ? { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' as const }
        : { resourceVersion: resourceVersion! }),
    })
    let collecting = initial
    for await (const event of events) {
      if (stopping.signal.aborted) return
      if (collecting) collecting = collect(event, collecting)
      else apply(event)
    }
  }

  function collect(event: WatchEvent<T>, initial: Map<string, T>): Map<string, T> | undefined {
    if (event.type !== 'BOOKMARK') {
      initial.set(objectKey(event.object), event.object)
      return initial
    }
    if (event.object.metadata.annotations?.['k8s.io/initial-events-end'] !== 'true') return initial
    cache.replace(initial.values(), Number(event.object.metadata.resourceVersion))
    advance(event.object.metadata.resourceVersion)
    markSynced()
    return undefined
  }

  function apply(event: WatchEvent<T>): void {
    const { object } = event
    if (event.type === 'DELETED') cache.drop(object)
    else if (event.type !== 'BOOKMARK') cache.put(object)
    advance(object.metadata.resourceVersion)
  }

  async function listAndWatch(): Promise<void> {
    if (resourceVersion !== undefined) return follow(undefined)
    if (watchList) {
      try {
        return await follow(new Map())
      } catch (error) {
        if (!isApiError(error, 'BadRequest') && !isApiError(error, 'Invalid')) throw error
        log.debug('the server does not stream lists: listing instead')
        watchList = false
      }
    }
    await listAll()
    await follow(undefined)
  }

  async function run(): Promise<void> {
    for (let failures = 0; !stopping.signal.aborted; failures++) {
      const started = clock.now()
      try {
        await listAndWatch()
      } catch (error) {
        if (stopping.signal.aborted) return
        if (isGone(error)) resourceVersion = undefined
        else log.warn('lost the watch, coming back', { error })
      }
      if (clock.now() - started >= healthyMs) failures = 0
      await clock.sleep(backoffDelay(failures, reconnect), stopping.signal).catch(() => {})
    }
  }

  void run()
  return {
    ref,
    get: cache.get,
    list: (namespace) => cache.list(namespace),
    byIndex: (name, value) => cache.byIndex(name, value),
    addIndex: (name, values) => cache.addIndex(name, values),
    addHandler: (handler) => cache.addHandler(handler),
    synced: () => synced,
    written: (object) => cache.written(object),
    deleted: (key, uid) => cache.deleted(key, uid),
    stop: () => stopping.abort(),
  }
}

export function createInformerFactory(options: InformerOptions): CachingInformerFactory {
  const informers = new Map<string, CachingInformer<any>>()
  return {
    informer<T extends ApiObject = StoredObject>(ref: ResourceRef): CachingInformer<T> {
      const name = nameOf(ref)
      let informer = informers.get(name)
      if (!informer) {
        informer = createInformer<T>(ref, options)
        informers.set(name, informer)
      }
      return informer
    },
    existing: (ref) => informers.get(nameOf(ref)),
    forget: (ref) => {
      informers.get(nameOf(ref))?.stop()
      informers.delete(nameOf(ref))
    },
    synced: async () => {
      await Promise.all([...informers.values()].map((informer) => informer.synced()))
    },
    stop: () => {
      for (const informer of informers.values()) informer.stop()
    },
  }
}

const nameOf = (ref: ResourceRef): string => `${ref.group}/${ref.version}/${ref.resource}`

const isGone = (error: unknown): error is ApiError => isApiError(error, 'Expired') || isApiError(error, 'Gone')

/** Items of a list carry no type of their own in Kubernetes' answers. */
function typed<T extends ApiObject>(item: T, list: { kind: string }, ref: ResourceRef): T {
  if (item.kind && item.apiVersion) return item
  return { ...item, apiVersion: groupVersion(ref.group, ref.version), kind: list.kind.replace(/List$/, '') }
}
