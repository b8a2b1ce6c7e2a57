// Talks to *a* server about objects of any kind. Controllers, host, fleet and CLI have nothing else.

import type { WatchEvent } from '../api/exchange.ts'
import type { ApiObject, ObjectList, ResourceRef, StoredObject } from '../api/meta.ts'

export interface ListOptions {
  namespace?: string
  labelSelector?: string
  fieldSelector?: string
  limit?: number
  continue?: string
  resourceVersion?: string
  resourceVersionMatch?: 'Exact' | 'NotOlderThan'
}

export interface WatchOptions extends Omit<ListOptions, 'limit' | 'continue'> {
  allowWatchBookmarks?: boolean
  sendInitialEvents?: boolean
  timeoutSeconds?: number
  signal?: AbortSignal
}

export interface WriteOptions {
  dryRun?: boolean
  fieldManager?: string
  subresource?: string
}

export interface DeleteOptions {
  gracePeriodSeconds?: number
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan'
  preconditions?: { uid?: string; resourceVersion?: string }
}

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply'

/** Every method throws ApiError. Objects returned are shared with the server's cache: copy before changing. */
export interface Client {
  get<T extends ApiObject = StoredObject>(ref: ResourceRef, name: string, namespace?: string): Promise<T>
  list<T extends ApiObject = StoredObject>(ref: ResourceRef, options?: ListOptions): Promise<ObjectList<T>>
  watch<T extends ApiObject = StoredObject>(ref: ResourceRef, options?: WatchOptions): AsyncIterable<WatchEvent<T>>
  create<T extends ApiObject = StoredObject>(ref: ResourceRef, object: ApiObject, options?: WriteOptions): Promise<T>
  /** PUT; metadata.resourceVersion, when set, must be the current one. */
  update<T extends ApiObject = StoredObject>(ref: ResourceRef, object: ApiObject, options?: WriteOptions): Promise<T>
  updateStatus<T extends ApiObject = StoredObject>(
    ref: ResourceRef,
    object: ApiObject,
    options?: WriteOptions,
  ): Promise<T>
  patch<T extends ApiObject = StoredObject>(
    ref: ResourceRef,
    name: string,
    namespace: string | undefined,
    type: PatchType,
    patch: unknown,
    options?: WriteOptions & { force?: boolean },
  ): Promise<T>
  /** The object as it stays behind (being deleted gracefully, or held by finalizers); undefined when it is gone. */
  delete(ref: ResourceRef, name: string, namespace?: string, options?: DeleteOptions): Promise<StoredObject | undefined>
  /** POST to a subresource (binding, eviction, token) or any path; the answer as JSON. */
  post<T = unknown>(path: string, body: object): Promise<T>
}
