// The way of every write: complete the object, ask admission, validate, note who manages what, store
// (apiserver registry/generic/registry and registry/rest, 1.36).

import { randomUUID } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { ApiError, alreadyExists, conflict, type FieldError, invalid } from '../api/errors.ts'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { generatedName } from '../api/names.ts'
import { sameExceptOwnershipTimes } from '../api/patch/managed-fields.ts'
import { formatTime } from '../api/time.ts'
import { validateMetaCreate, validateMetaUpdate } from '../api/validate-meta.ts'
import { copyJson, equalJson } from '../api/walk/plain.ts'
import { RevisionMismatch } from '../store/store.ts'
import type { AdmissionRequest, ApiOptions, SubresourceView } from './admission/admission.ts'
import { isBytes, ReadBody } from './body.ts'
import { badRequest, type Call, type WriteOptions } from './call.ts'
import { complete, decodeAs, validateObject, warningsOf } from './conform.ts'
import { objectModified, type Stored } from './objects.ts'
import { trackUpdate } from './ownership.ts'
import type { Resource } from './registry.ts'

/** How often a generated name that is taken is drawn again. */
const nameDraws = 8

export function admissionRequest(
  call: Call,
  operation: AdmissionRequest['operation'],
  options: Pick<WriteOptions, 'dryRun'>,
  object: ApiObject | undefined,
  old?: StoredObject,
): AdmissionRequest {
  return {
    operation,
    resource: call.resource,
    subresource: call.info.subresource,
    namespace: call.info.namespace,
    name: object?.metadata.name ?? old?.metadata.name ?? call.info.name,
    user: call.user,
    dryRun: options.dryRun,
    options: () => operationOptions(call, operation, options),
    ...(call.annotations && { annotate: noteIn(call.annotations) }),
    ...(object && { object }),
    ...(old && { old }),
    warnings: call.warnings,
    undo: [],
  }
}

const noteIn = (annotations: Record<string, string>) => (key: string, value: string) => {
  annotations[key] = value
}

const optionKinds = { CREATE: 'CreateOptions', UPDATE: 'UpdateOptions', DELETE: 'DeleteOptions', CONNECT: '' }

function operationOptions(
  call: Call,
  operation: AdmissionRequest['operation'],
  { dryRun, ...others }: Pick<WriteOptions, 'dryRun'>,
): ApiOptions {
  const kind = call.request.method === 'PATCH' ? 'PatchOptions' : optionKinds[operation]
  const asked: Record<string, unknown> = operation === 'DELETE' ? { ...others } : {}
  for (const name of operation === 'DELETE' ? [] : ['fieldManager', 'fieldValidation', 'force']) {
    const value = call.request.query.get(name)
    if (value) asked[name] = name === 'force' ? value === 'true' : value
  }
  return { kind, apiVersion: 'meta.k8s.io/v1', ...(dryRun && { dryRun: ['All'] }), ...asked }
}

/** Each step of a write goes over the whole object, which takes its time with long ones: others get their turn between. */
const longBody = 256 * 1024

const isLong = ({ request: { body } }: Call): boolean =>
  body instanceof ReadBody || (isBytes(body) && body.length > longBody)

/** `object` is the caller's own copy and becomes the stored one. */
export async function createObject(
  call: Call,
  object: ApiObject,
  options: WriteOptions,
  applied = false,
): Promise<Stored> {
  const { resource, engine } = call
  if (object.metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created')
  const generate = !object.metadata.name && object.metadata.generateName
  const long = isLong(call)
  for (let draw = 1; ; draw++) {
    const attempt = generate ? copyJson(object) : object
    if (generate) attempt.metadata.name = generatedName(object.metadata.generateName!)
    const request = admissionRequest(call, 'CREATE', options, attempt)
    request.reshape = (proposed) => reshapeNew(call, attempt, proposed)
    try {
      engine.admission.preset(request)
      prepareNew(call, attempt)
      if (long) await setImmediate()
      // What admission adds is nobody's: who applies the object later does not come to take it away.
      if (!applied) trackUpdate(call, attempt, undefined, options)
      if (long) await setImmediate()
      const admitted = engine.admission.admit(request)
      if (admitted) await admitted
      if (long) await setImmediate()
      checkNew(resource, attempt)
      const validated = engine.admission.validate(request)
      if (validated) await validated
      call.warnings.push(...warningsOf(resource, attempt))
      const stored = options.dryRun ? dryCreate(call, attempt) : await engine.objects.create(resource, attempt)
      if (options.dryRun) engine.admission.failed(request)
      else engine.admission.written(request, stored.object)
      return stored
    } catch (error) {
      engine.admission.failed(request)
      if (!(error instanceof RevisionMismatch)) throw error
      if (generate && draw < nameDraws) continue
      throw nameTaken(call, attempt.metadata.name!, generate !== '' && generate !== undefined && generate !== false)
    }
  }
}

function nameTaken(call: Call, name: string, generated: boolean): ApiError {
  const error = alreadyExists(call.resource.plural, name, call.resource.group)
  if (!generated) return error
  return new ApiError(
    'AlreadyExists',
    `${error.message}, the server was not able to generate a unique name for the object`,
    error.details,
  )
}

function dryCreate(call: Call, object: ApiObject): Stored {
  const { resource, engine, info } = call
  const key = engine.objects.key(resource, info.namespace, object.metadata.name!)
  const existing = engine.objects.get(resource, info.namespace, object.metadata.name!)
  if (existing) throw new RevisionMismatch(key, existing.revision)
  return { key, revision: 0, object: object as StoredObject, json: JSON.stringify(object) }
}

function prepareNew(call: Call, object: ApiObject): void {
  object.metadata.uid = randomUUID()
  object.metadata.creationTimestamp = formatTime(call.engine.now())
  settleNew(call.resource, object)
}

/** What the server says of a new object does not change with what others make of it. */
function reshapeNew(call: Call, object: ApiObject, proposed: ApiObject): ApiObject {
  const next = withMetadata(decodeAs(call.resource, proposed).object)
  for (const field of ['uid', 'name', 'namespace', 'generateName', 'creationTimestamp'] as const) {
    if (object.metadata[field] === undefined) delete next.metadata[field]
    else (next.metadata as Record<string, unknown>)[field] = object.metadata[field]
  }
  settleNew(call.resource, next)
  return next
}

function settleNew(resource: Resource, object: ApiObject): void {
  const { metadata } = object
  delete metadata.deletionTimestamp
  delete metadata.deletionGracePeriodSeconds
  delete metadata.resourceVersion
  if (resource.hasGeneration) metadata.generation = 1
  else delete metadata.generation
  if (resource.hasStatus) delete object.status
  resource.kind.prepareCreate?.(object)
  complete(resource, object)
}

function checkNew(resource: Resource, object: ApiObject): void {
  const { kind, namespaced, group } = resource
  const errors = [
    ...validateMetaCreate(object.metadata, { namespaced, ...(kind.nameRule && { nameRule: kind.nameRule }) }),
    ...validateObject(resource, object),
  ]
  if (errors.length > 0) throw invalid(kind.kind, object.metadata.name ?? '', errors, group)
}

export interface UpdateOptions extends WriteOptions {
  /** '' is the object itself; any other name keeps everything but what `owns` says. */
  subresource: string
  /** The parts that this subresource may change (default: status). */
  owns?: string[]
  /** The subresource that managedFields name, where it is not the one that decides what may change. */
  trackedAs?: string
  /** How admission sees the object, where the subresource has a kind of its own. */
  view?: SubresourceView
  /** Server-side apply has settled managedFields itself. */
  applied?: boolean
}

/** Writes `proposed`, the caller's own copy, over `current`. Runs in `readAndWrite`. */
export async function updateObject(
  call: Call,
  current: Stored,
  proposed: ApiObject,
  options: UpdateOptions,
): Promise<Stored> {
  const { resource, engine } = call
  const old = current.object
  checkPreconditions(call, old, proposed)
  const object = mergeStrategy(call, old, proposed, options)
  const request = admissionRequest(call, 'UPDATE', options, object, old)
  if (options.view) request.view = options.view
  const settle = (next: ApiObject): ApiObject => {
    resource.kind.prepareUpdate?.(next, old, options.subresource)
    complete(resource, next)
    return next
  }
  request.reshape = (next) => settle(mergeStrategy(call, old, withMetadata(decodeAs(resource, next).object), options))
  const long = isLong(call)
  try {
    settle(object)
    if (long) await setImmediate()
    if (!options.applied)
      trackUpdate(call, object, old, { ...options, subresource: options.trackedAs ?? options.subresource })
    if (long) await setImmediate()
    const admitted = engine.admission.admit(request)
    if (admitted) await admitted
    if (long) await setImmediate()
    // The scheduler's word is no change of what is wanted (registry/core/pod/storage BindingREST).
    if (resource.hasGeneration && options.subresource !== 'binding' && specChanged(resource, object, old))
      object.metadata.generation = (old.metadata.generation ?? 0) + 1
    const errors: FieldError[] = [
      ...validateMetaUpdate(object.metadata, old.metadata),
      ...validateObject(resource, object, old, options.subresource),
    ]
    if (errors.length > 0) throw invalid(resource.kind.kind, old.metadata.name, errors, resource.group)
    const validated = engine.admission.validate(request)
    if (validated) await validated
    call.warnings.push(...warningsOf(resource, object, old))
    const stored = await storeUpdate(call, current, object, options)
    if (options.dryRun || stored === current) engine.admission.failed(request)
    else engine.admission.written(request, stored.object)
    return stored
  } catch (error) {
    engine.admission.failed(request)
    throw error
  }
}

function withMetadata(object: ApiObject): ApiObject {
  object.metadata ??= {}
  return object
}

async function storeUpdate(call: Call, current: Stored, object: ApiObject, options: UpdateOptions): Promise<Stored> {
  const { resource, engine } = call
  if (sameExceptOwnershipTimes(current.object, object)) return current
  if (options.dryRun) return { ...current, object: object as StoredObject, json: JSON.stringify(object) }
  if (finished(call, object)) return engine.objects.remove(resource, current, object)
  return engine.objects.replace(resource, current, object)
}

/** True when nothing holds an object back any more that somebody deleted. */
export function finished(call: Call, object: ApiObject): boolean {
  const { metadata } = object
  if (!metadata.deletionTimestamp || metadata.finalizers?.length) return false
  if (call.resource.groupResource === 'namespaces' && object.spec?.finalizers?.length) return false
  return !metadata.deletionGracePeriodSeconds
}

function checkPreconditions(call: Call, old: StoredObject, proposed: ApiObject): void {
  const { plural, group } = call.resource
  const { uid, resourceVersion } = proposed.metadata
  if (uid && uid !== old.metadata.uid)
    throw conflict(
      plural,
      old.metadata.name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`,
      group,
    )
  if (resourceVersion && resourceVersion !== '0' && resourceVersion !== old.metadata.resourceVersion)
    throw conflict(plural, old.metadata.name, objectModified, group)
}

/** What of `proposed` counts: the server's own fields never, status only on /status, everything else only outside it. */
function mergeStrategy(call: Call, old: StoredObject, proposed: ApiObject, options: UpdateOptions): ApiObject {
  const { resource } = call
  const metadata = { ...proposed.metadata, resourceVersion: old.metadata.resourceVersion }
  for (const field of [
    'uid',
    'name',
    'namespace',
    'generateName',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'generation',
  ] as const) {
    const value = old.metadata[field]
    if (value === undefined) delete metadata[field]
    else (metadata as Record<string, unknown>)[field] = value
  }
  if (options.subresource === '') {
    const object: ApiObject = { ...proposed, metadata }
    if (!resource.hasStatus) return object
    if (old.status === undefined) delete object.status
    else object.status = copyJson(old.status)
    return object
  }
  const object: ApiObject = copyJson(old)
  for (const part of options.owns ?? ['status']) {
    if (proposed[part] === undefined) delete object[part]
    else object[part] = proposed[part]
  }
  object.metadata.managedFields = proposed.metadata.managedFields
  if (!resource.custom) {
    // Built-in kinds let a status write carry labels, annotations and finalizers; owners stay.
    for (const field of ['labels', 'annotations', 'finalizers'] as const) {
      if (metadata[field] === undefined) delete object.metadata[field]
      else (object.metadata as Record<string, unknown>)[field] = metadata[field]
    }
  }
  return object
}

function specChanged(resource: Resource, object: ApiObject, old: ApiObject): boolean {
  const ignored = ['metadata', 'apiVersion', 'kind']
  // A custom resource without the status subresource has a status like any other field.
  if (!resource.form || resource.hasStatus) ignored.push('status')
  const keys = new Set([...Object.keys(object), ...Object.keys(old)])
  for (const key of keys) if (!ignored.includes(key) && !equalJson(object[key], old[key])) return true
  // A deletion that starts counts as a change of what is wanted.
  return object.metadata.deletionTimestamp !== old.metadata.deletionTimestamp
}
