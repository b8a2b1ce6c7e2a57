// A live copy of one collection: lists, watches, recovers from 410 and lost connections, and tells who listens.

import type { ApiObject, ResourceRef, StoredObject } from '../api/meta.ts'

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
  stop(): void
}
