// Between the verbs and the store: objects of a resource by namespace and name. An object becomes JSON text once, when it
// is written; nobody parses that text again as long as the object is in the cache of parsed objects.

import { conflict } from '../api/errors.ts'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { type Entry, RevisionMismatch, type Store, type StoreEvent, type Watch } from '../store/store.ts'
import { NotConverted, type StoredForm } from './custom/stored-form.ts'
import type { Resource } from './registry.ts'

export const objectModified =
  'the object has been modified; please apply your changes to the latest version and try again'

/** An object as it stands in the store. `object` is shared: never change it. */
export interface Stored {
  key: string
  revision: number
  object: StoredObject
  json: string
}

/** One change of one object. */
export interface Change {
  type: 'put' | 'delete'
  revision: number
  object: StoredObject
  json: string
  previous: StoredObject | undefined
}

export interface Objects {
  readonly store: Store
  key(resource: Resource, namespace: string, name: string): string
  get(resource: Resource, namespace: string, name: string): Stored | undefined
  list(resource: Resource, namespace: string, page?: { after?: string; limit?: number }): Stored[]
  listAt(
    resource: Resource,
    namespace: string,
    revision: number,
    page?: { after?: string; limit?: number },
  ): Promise<Stored[]>
  count(resource: Resource, namespace: string): number
  /** @throws RevisionMismatch when the name is taken. `object` belongs to the store from now on. */
  create(resource: Resource, object: ApiObject): Promise<Stored>
  /** @throws ApiError Conflict when somebody else was faster. `object` belongs to the store from now on. */
  replace(resource: Resource, current: Stored, object: ApiObject): Promise<Stored>
  /** Resolves with the last state, as watchers see it. */
  remove(resource: Resource, current: Stored, last?: ApiObject): Promise<Stored>
  /** `failed`: no more changes will come, because objects could not be converted. */
  watch(
    resource: Resource,
    namespace: string,
    after: number,
    listener: (changes: Change[]) => void,
    failed?: (error: unknown) => void,
  ): Watch
  /** Runs `action` when no other one with this key runs: read-modify-write without losing races to ourselves. */
  exclusively<T>(key: string, action: () => Promise<T>): Promise<T>
}

export const keyOf = (resource: Resource, namespace: string, name: string): string =>
  resource.namespaced ? `${resource.prefix}${namespace}/${name}` : resource.prefix + name

const prefixOf = (resource: Resource, namespace: string): string =>
  resource.namespaced && namespace ? `${resource.prefix}${namespace}/` : resource.prefix

export function createObjects(store: Store, cacheBytes = 48 * 1024 * 1024): Objects {
  const parsed = createParsedCache(cacheBytes)
  const stored = (resource: Resource, entry: Entry): Stored => {
    const object = parsed.of(entry.revision, entry.value)
    return asVersion(resource, { key: entry.key, revision: entry.revision, object, json: entry.value })
  }
  const storedAll = (resource: Resource, entries: Entry[]): Stored[] => {
    if (resource.form?.remote) {
      const missing = resource.form.missing(entries.map((entry) => parsed.of(entry.revision, entry.value)))
      if (missing.length > 0) throw new NotConverted(resource.form, missing)
    }
    return entries.map((entry) => stored(resource, entry))
  }

  async function put(resource: Resource, key: string, expected: number, given: ApiObject): Promise<Stored> {
    const object = resource.form ? await resource.form.write(given) : toStored(resource, given)
    let json = ''
    const entry = await store.write({
      key,
      expected,
      value(revision) {
        object.metadata.resourceVersion = String(revision)
        json = JSON.stringify(object)
        parsed.add(revision, object as StoredObject, json.length)
        return json
      },
    })
    if (resource.form?.remote) await resource.form.load([object as StoredObject])
    return asVersion(resource, { key, revision: entry.revision, object: object as StoredObject, json: entry.value })
  }

  function lost(resource: Resource, error: unknown, name: string): unknown {
    return error instanceof RevisionMismatch ? conflict(resource.plural, name, objectModified, resource.group) : error
  }

  const changes = changeReader(parsed)

  /** Events wait for the conversion of those before them. */
  function watchConverted(
    resource: Resource,
    prefix: string,
    after: number,
    listener: (changes: Change[]) => void,
    failed?: (error: unknown) => void,
  ): Watch {
    let tail = Promise.resolve()
    let closed = false
    const deliver = async (events: StoreEvent[]): Promise<void> => {
      if (closed) return
      const entries = events.flatMap((event) => (event.previous ? [event, event.previous] : [event]))
      await resource.form!.load(entries.map((entry) => parsed.of(entry.revision, entry.value)))
      if (!closed) listener(events.map((event) => changes(resource, event)))
    }
    const watch = store.watch(prefix, after, (events) => {
      tail = tail
        .then(() => deliver(events))
        .catch((error) => {
          close()
          failed?.(error)
        })
    })
    const close = () => {
      closed = true
      watch.close()
    }
    return { close }
  }

  return {
    store,
    key: keyOf,
    get(resource, namespace, name) {
      const entry = store.get(keyOf(resource, namespace, name))
      return entry && stored(resource, entry)
    },
    list: (resource, namespace, page) => storedAll(resource, store.list(prefixOf(resource, namespace), page)),
    async listAt(resource, namespace, revision, page) {
      const entries = await store.listAt(prefixOf(resource, namespace), revision, page)
      return storedAll(resource, entries)
    },
    count: (resource, namespace) => store.count(prefixOf(resource, namespace)),
    create(resource, object) {
      const { namespace = '', name = '' } = object.metadata
      return put(resource, keyOf(resource, namespace, name), 0, object)
    },
    async replace(resource, current, object) {
      try {
        return await put(resource, current.key, current.revision, object)
      } catch (error) {
        throw lost(resource, error, object.metadata.name ?? '')
      }
    },
    async remove(resource, current, given = current.object) {
      // Whoever reads the last state of a custom resource finds its version in it.
      const last = resource.form ? given : toStored(resource, given)
      let object = last as StoredObject
      let json = ''
      try {
        const entry = await store.write({
          key: current.key,
          expected: current.revision,
          value: null,
          last(revision) {
            object = { ...last, metadata: { ...last.metadata, resourceVersion: String(revision) } } as StoredObject
            json = JSON.stringify(object)
            parsed.add(revision, object, json.length)
            return json
          },
        })
        return asVersion(resource, { key: current.key, revision: entry.revision, object, json })
      } catch (error) {
        throw lost(resource, error, object.metadata.name)
      }
    },
    watch: (resource, namespace, after, listener, failed) =>
      resource.form?.remote
        ? watchConverted(resource, prefixOf(resource, namespace), after, listener, failed)
        : store.watch(prefixOf(resource, namespace), after, (events) =>
            listener(events.map((event) => changes(resource, event))),
          ),
    exclusively: createLocks(),
  }
}

const toStored = (resource: Resource, object: ApiObject): ApiObject =>
  resource.kind.storedAs ? resource.kind.storedAs.toStored(object) : object

/** A stored object read through another version. Versions that have no conversion have the same fields. */
function asVersion(resource: Resource, stored: Stored): Stored {
  if (resource.form) {
    const object = resource.form.read(stored.object)
    return object === stored.object ? stored : { ...stored, object, json: textOf(object) }
  }
  if (stored.object.apiVersion === resource.apiVersion) return stored
  const object = converted(resource, stored.object)
  return { ...stored, object, json: JSON.stringify(object) }
}

const converted = (resource: Resource, object: StoredObject): StoredObject =>
  (resource.kind.storedAs?.fromStored(object) ?? { ...object, apiVersion: resource.apiVersion }) as StoredObject

const texts = new WeakMap<StoredObject, string>()

/** The text of an object that is not stored as it is, made once. */
function textOf(object: StoredObject): string {
  let text = texts.get(object)
  if (text === undefined) {
    text = JSON.stringify(object)
    texts.set(object, text)
  }
  return text
}

/** Changes of custom resources as a version shows them; every watch of the version gets the same one. */
const formed = new WeakMap<StoredForm, WeakMap<StoreEvent, Change>>()

function inForm(resource: Resource, event: StoreEvent, change: Change): Change {
  const form = resource.form!
  const known = formed.get(form) ?? new WeakMap<StoreEvent, Change>()
  formed.set(form, known)
  let own = known.get(event)
  if (!own) {
    const { object, json } = asVersion(resource, { ...change, key: '' })
    const previous = change.previous && form.read(change.previous)
    own = object === change.object && previous === change.previous ? change : { ...change, object, json, previous }
    known.set(event, own)
  }
  return own
}

/** Store events as changes; every watch of one event gets the same objects. */
function changeReader(parsed: ParsedCache) {
  const memo = new WeakMap<StoreEvent, Change>()
  return (resource: Resource, event: StoreEvent): Change => {
    let change = memo.get(event)
    if (!change) {
      const object = parsed.of(event.revision, event.value)
      const { previous } = event
      change = {
        type: event.type,
        revision: event.revision,
        object,
        json: event.value,
        previous: previous && parsed.of(previous.revision, previous.value),
      }
      memo.set(event, change)
    }
    if (resource.form) return inForm(resource, event, change)
    if (change.object.apiVersion === resource.apiVersion) return change
    const { object, json } = asVersion(resource, { ...change, key: '' })
    const previous = change.previous && converted(resource, change.previous)
    return { ...change, object, json, previous }
  }
}

interface ParsedCache {
  of(revision: number, text: string): StoredObject
  add(revision: number, object: StoredObject, size: number): void
}

/** Parsed objects by revision, which names one state of one object for ever. The oldest leave first. */
function createParsedCache(limit: number): ParsedCache {
  const objects = new Map<number, { object: StoredObject; size: number }>()
  let total = 0
  function add(revision: number, object: StoredObject, size: number): void {
    objects.set(revision, { object, size })
    total += size
    if (total <= limit) return
    for (const [oldest, entry] of objects) {
      objects.delete(oldest)
      total -= entry.size
      if (total <= limit * 0.9) break
    }
  }
  return {
    add,
    of(revision, text) {
      const cached = objects.get(revision)
      if (cached) return cached.object
      const object = JSON.parse(text) as StoredObject
      add(revision, object, text.length)
      return object
    },
  }
}

function createLocks(): Objects['exclusively'] {
  const tails = new Map<string, Promise<unknown>>()
  return async (key, action) => {
    const before = tails.get(key)
    const run = before ? before.then(action, action) : action()
    tails.set(key, run)
    try {
      return await run
    } finally {
      if (tails.get(key) === run) tails.delete(key)
    }
  }
}
