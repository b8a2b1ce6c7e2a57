// Talks to *a* server about objects of any kind. Controllers, host, fleet and CLI have nothing else.

import { ApiError, type Status } from '../api/errors.ts'
import type { ApiRequest, ApiResponse, UserInfo, WatchEvent } from '../api/exchange.ts'
import type { ApiObject, ObjectList, ResourceRef, StoredObject } from '../api/meta.ts'
import { resourcePath } from '../api/meta.ts'
import type { Transport } from './transport.ts'

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
  /** With T = StoredObject | undefined: the object as it stays behind (graceful, finalizers), undefined when it is gone. */
  delete<T = void>(ref: ResourceRef, name: string, namespace?: string, options?: DeleteOptions): Promise<T>
  /** POST to a subresource (binding, eviction, token) or any path; the answer as JSON. */
  post<T = unknown>(path: string, body: object): Promise<T>
}

export interface ClientOptions {
  /** Who asks; only a transport inside the server's own process may say it. */
  user?: UserInfo
  /** Shown in the server's log and, up to the first '/', the default field manager. */
  userAgent?: string
  fieldManager?: string
}

const patchTypes: Record<PatchType, string> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
}

interface Call {
  method: ApiRequest['method']
  path: string
  query?: URLSearchParams
  body?: object
  contentType?: string
  signal?: AbortSignal
}

export function createClient(transport: Transport, options: ClientOptions = {}): Client {
  async function send(call: Call): Promise<ApiResponse> {
    const headers: Record<string, string> = { accept: 'application/json' }
    if (options.userAgent) headers['user-agent'] = options.userAgent
    if (call.body) headers['content-type'] = call.contentType ?? 'application/json'
    const response = await transport({
      method: call.method,
      path: call.path,
      query: call.query ?? new URLSearchParams(),
      headers,
      ...(call.body && { body: call.body }),
      ...(options.user && { user: options.user }),
      ...(call.signal && { signal: call.signal }),
    })
    if (response.status >= 400) throw errorOf(response)
    return response
  }

  async function object<T>(call: Call): Promise<T> {
    const response = await send(call)
    if (response.object) return response.object as T
    const text = response.json ?? response.text
    if (text === undefined)
      throw new ApiError('InternalError', `${call.method} ${call.path} answered without an object`)
    return JSON.parse(text) as T
  }

  const write = (write: WriteOptions & { force?: boolean } = {}): URLSearchParams => {
    const query = new URLSearchParams()
    if (write.dryRun) query.set('dryRun', 'All')
    const manager = write.fieldManager ?? options.fieldManager
    if (manager) query.set('fieldManager', manager)
    if (write.force) query.set('force', 'true')
    return query
  }

  const put = <T>(ref: ResourceRef, body: ApiObject, options: WriteOptions = {}): Promise<T> =>
    object<T>({
      method: 'PUT',
      path: pathOf(ref, body.metadata.namespace, body.metadata.name ?? '', options.subresource),
      query: write(options),
      body,
    })

  return {
    get: (ref, name, namespace) => object({ method: 'GET', path: pathOf(ref, namespace, name) }),
    list: <T extends ApiObject>(ref: ResourceRef, options: ListOptions = {}) =>
      object<ObjectList<T>>({ method: 'GET', path: pathOf(ref, options.namespace), query: listQuery(options) }),
    async *watch<T extends ApiObject>(ref: ResourceRef, options: WatchOptions = {}): AsyncIterable<WatchEvent<T>> {
      const { signal } = options
      const query = watchQuery(options)
      const response = await send({
        method: 'GET',
        path: pathOf(ref, options.namespace),
        query,
        ...(signal && { signal }),
      })
      if (!response.events) throw new ApiError('InternalError', `watch of ${ref.resource} answered without events`)
      for await (const event of response.events) {
        if (event.type === 'ERROR') throw ApiError.fromStatus(event.object as unknown as Status)
        yield event as WatchEvent<T>
      }
    },
    create: (ref, body, options = {}) =>
      object({
        method: 'POST',
        path: options.subresource
          ? pathOf(ref, body.metadata.namespace, body.metadata.name ?? '', options.subresource)
          : pathOf(ref, body.metadata.namespace),
        query: write(options),
        body,
      }),
    update: (ref, body, options) => put(ref, body, options),
    updateStatus: (ref, body, options) => put(ref, body, { ...options, subresource: 'status' }),
    patch: (ref, name, namespace, type, patch, options = {}) =>
      object({
        method: 'PATCH',
        path: pathOf(ref, namespace, name, options.subresource),
        query: write(options),
        body: patch as object,
        contentType: patchTypes[type],
      }),
    async delete<T>(ref: ResourceRef, name: string, namespace?: string, options?: DeleteOptions): Promise<T> {
      const body = options && deleteBody(options)
      const answer = await object<StoredObject>({
        method: 'DELETE',
        path: pathOf(ref, namespace, name),
        ...(body && { body }),
      })
      return (answer.metadata?.deletionTimestamp ? answer : undefined) as T
    },
    post: (path, body) => object({ method: 'POST', path, body }),
  }
}

function errorOf(response: ApiResponse): ApiError {
  if (response.object) return ApiError.fromStatus(response.object as Status)
  const text = response.json ?? response.text ?? ''
  try {
    return ApiError.fromStatus(JSON.parse(text) as Status)
  } catch {
    return new ApiError('InternalError', text || `the server answered ${response.status} without a message`)
  }
}

/** A request carries the path decoded (api/exchange.ts). */
const pathOf = (ref: ResourceRef, namespace?: string, name?: string, subresource?: string): string => {
  const path = resourcePath(ref, namespace, name, subresource)
  return path.includes('%') ? decodeURIComponent(path) : path
}

function listQuery(options: ListOptions): URLSearchParams {
  const query = new URLSearchParams()
  if (options.labelSelector) query.set('labelSelector', options.labelSelector)
  if (options.fieldSelector) query.set('fieldSelector', options.fieldSelector)
  if (options.limit) query.set('limit', String(options.limit))
  if (options.continue) query.set('continue', options.continue)
  if (options.resourceVersion !== undefined) query.set('resourceVersion', options.resourceVersion)
  if (options.resourceVersionMatch) query.set('resourceVersionMatch', options.resourceVersionMatch)
  return query
}

function watchQuery(options: WatchOptions): URLSearchParams {
  const query = listQuery(options)
  query.set('watch', 'true')
  if (options.allowWatchBookmarks) query.set('allowWatchBookmarks', 'true')
  if (options.sendInitialEvents !== undefined) query.set('sendInitialEvents', String(options.sendInitialEvents))
  if (options.timeoutSeconds) query.set('timeoutSeconds', String(options.timeoutSeconds))
  return query
}

const deleteBody = (options: DeleteOptions): object => ({ kind: 'DeleteOptions', apiVersion: 'v1', ...options })
