// The objects that an informer holds, with their indexes. Pure: the informer feeds it, handlers hear of each change.
// Revisions are compared as numbers, as etcd's and ours are.

import type { ApiObject } from '../api/meta.ts'
import { objectKey } from '../api/meta.ts'
import type { InformerHandler } from './informer.ts'

interface Index<T> {
  values: (object: T) => string[]
  entries: Map<string, Map<string, T>>
}

const namespaceIndex = 'namespace'
const revisionOf = (object: ApiObject): number => Number(object.metadata.resourceVersion)

export class InformerCache<T extends ApiObject> {
  readonly #objects = new Map<string, T>()
  readonly #indexes = new Map<string, Index<T>>()
  readonly #handlers: InformerHandler<T>[] = []
  /** Uids of objects that this program deleted and whose DELETED event is still under way. */
  readonly #gone = new Set<string>()
  readonly #onError: (error: unknown) => void
  /** Everything up to this revision has been told by the server. */
  revision = 0

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError
    this.addIndex(namespaceIndex, (object) => [object.metadata.namespace ?? ''])
  }

  get = (key: string): T | undefined => this.#objects.get(key)

  list(namespace?: string): T[] {
    return namespace === undefined ? [...this.#objects.values()] : this.byIndex(namespaceIndex, namespace)
  }

  byIndex(name: string, value: string): T[] {
    const index = this.#indexes.get(name)
    if (!index) throw new Error(`no index "${name}": add it with addIndex first`)
    const entries = index.entries.get(value)
    return entries ? [...entries.values()] : []
  }

  addIndex(name: string, values: (object: T) => string[]): void {
    if (this.#indexes.has(name)) return
    const index: Index<T> = { values, entries: new Map() }
    this.#indexes.set(name, index)
    for (const [key, object] of this.#objects) insert(index, key, object)
  }

  /** The handler hears of everything that is already there, then of each change. */
  addHandler(handler: InformerHandler<T>): void {
    this.#handlers.push(handler)
    for (const object of this.#objects.values()) this.#guard(() => handler.changed(object, undefined))
  }

  /** An ADDED or MODIFIED event, or the answer to a write of our own. */
  put(object: T): void {
    const key = objectKey(object)
    const old = this.#objects.get(key)
    if (old && revisionOf(old) >= revisionOf(object)) return
    if (this.#gone.has(object.metadata.uid ?? '')) return
    if (old && old.metadata.uid !== object.metadata.uid) {
      this.#remove(key, old)
      this.#store(key, object, undefined)
    } else {
      this.#store(key, object, old)
    }
  }

  /** A DELETED event; `last` is the object's final state. */
  drop(last: T): void {
    this.#gone.delete(last.metadata.uid ?? '')
    const key = objectKey(last)
    const old = this.#objects.get(key)
    if (old && old.metadata.uid === last.metadata.uid) this.#remove(key, last)
  }

  /** The answer to a write of our own: seen at once unless the server's events are already past it. */
  written(object: T): void {
    if (revisionOf(object) > this.revision) this.put(object)
  }

  /** We deleted the object and the server says that it is gone; its event comes later and says nothing new. */
  deleted(key: string, uid: string): void {
    const old = this.#objects.get(key)
    if (!old || old.metadata.uid !== uid) return
    this.#gone.add(uid)
    this.#remove(key, old)
  }

  /** The complete state as of `revision`: what is not in it is gone, unless we wrote it after that. */
  replace(objects: Iterable<T>, revision: number): void {
    this.#gone.clear()
    const kept = new Set<string>()
    for (const object of objects) {
      kept.add(objectKey(object))
      this.put(object)
    }
    for (const [key, object] of this.#objects)
      if (!kept.has(key) && !(revisionOf(object) > revision)) this.#remove(key, object)
  }

  #store(key: string, object: T, old: T | undefined): void {
    this.#objects.set(key, object)
    for (const index of this.#indexes.values()) {
      if (old) erase(index, key, old)
      insert(index, key, object)
    }
    for (const handler of this.#handlers) this.#guard(() => handler.changed(object, old))
  }

  #remove(key: string, last: T): void {
    const old = this.#objects.get(key)
    this.#objects.delete(key)
    if (old) for (const index of this.#indexes.values()) erase(index, key, old)
    for (const handler of this.#handlers) this.#guard(() => handler.removed(last))
  }

  /** One handler's mistake must not cost the others their news. */
  #guard(tell: () => void): void {
    try {
      tell()
    } catch (error) {
      this.#onError(error)
    }
  }
}

function insert<T>(index: Index<T>, key: string, object: T): void {
  for (const value of index.values(object)) {
    let entries = index.entries.get(value)
    if (!entries) {
      entries = new Map()
      index.entries.set(value, entries)
    }
    entries.set(key, object)
  }
}

function erase<T>(index: Index<T>, key: string, object: T): void {
  for (const value of index.values(object)) {
    const entries = index.entries.get(value)
    entries?.delete(key)
    if (entries?.size === 0) index.entries.delete(value)
  }
}
