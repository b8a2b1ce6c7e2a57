// patch: JSON Patch, merge patch, strategic merge patch and server-side apply, on an object or a part of it.

import { conflict, invalid } from '../../api/errors.ts'
import type { ApiResponse } from '../../api/exchange.ts'
import type { ApiObject, StoredObject } from '../../api/meta.ts'
import { applyJsonPatch } from '../../api/patch/json.ts'
import { applyMergePatch } from '../../api/patch/merge.ts'
import { applyStrategicPatch } from '../../api/patch/strategic.ts'
import { unknownFieldText } from '../../api/walk/decode.ts'
import { isPlainObject } from '../../api/walk/plain.ts'
import { type Body, fromJson, fromYaml, isBytes, mediaType, ReadBody, unsupportedMediaType } from '../body.ts'
import { badRequest, type Call, type WriteOptions, writeOptions } from '../call.ts'
import { decodeAs, shapeOf, tell } from '../conform.ts'
import type { Stored } from '../objects.ts'
import { applyTo } from '../ownership.ts'
import { createObject, updateObject } from '../persist.ts'
import { readAndWrite } from '../read-and-write.ts'
import { settleNamespace } from './create.ts'
import { answer, existing } from './get.ts'
import { checkName, type Part } from './update.ts'

const types = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
  'application/apply-patch+yaml': 'apply',
} as const

type PatchType = (typeof types)[keyof typeof types]

export async function patch(call: Call, part: Part): Promise<ApiResponse> {
  const type = patchType(call)
  const options = writeOptions(call)
  const force = call.request.query.get('force')
  if (force !== null && type !== 'apply')
    throw invalid(
      'PatchOptions',
      '',
      [{ type: 'FieldValueForbidden', field: 'force', detail: 'may not be specified for non-apply patch' }],
      'meta.k8s.io',
    )
  const body = patchBody(call, type)
  const { objects } = call.engine
  const key = objects.key(call.resource, call.info.namespace, call.info.name)
  const retries = !namesRevision(body.value)
  const once = async (): Promise<ApiResponse> => {
    if (type === 'apply') return apply(call, body, { ...options, force: isForced(call) }, part)
    return answer(call, 200, await patchStored(call, existing(call), type, body, options, part))
  }
  return readAndWrite({ call, operation: 'UPDATE', key, retries, action: once })
}

const namesRevision = (patch: unknown): boolean =>
  isPlainObject(patch) && isPlainObject(patch.metadata) && patch.metadata.resourceVersion !== undefined

function patchType(call: Call): PatchType {
  const type = mediaType(call.request.headers['content-type'])
  const served = call.resource.custom
    ? Object.keys(types).filter((name) => !name.includes('strategic'))
    : Object.keys(types)
  if (!served.includes(type)) throw unsupportedMediaType(served.join(', '))
  return types[type as keyof typeof types]
}

function patchBody(call: Call, type: PatchType): Body {
  const { body } = call.request
  if (body === undefined) throw badRequest('the request has no patch in its body')
  if (body instanceof ReadBody) return body.body
  if (!isBytes(body)) return { value: body, problems: [] }
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')
  return type === 'apply' ? fromYaml(text) : fromJson(text, type !== 'json')
}

/** The patched form of an object that is not stored itself (a Scale); what is applied is not a patch of it. */
export function patchPlain(call: Call, object: ApiObject): ApiObject {
  const type = patchType(call)
  const { value } = patchBody(call, type)
  return type === 'json' ? applyJsonPatch(object, value) : applyMergePatch(object, value)
}

function patchStored(
  call: Call,
  current: Stored,
  type: Exclude<PatchType, 'apply'>,
  body: Body,
  options: WriteOptions,
  part: Part,
): Promise<Stored> {
  return updateObject(call, current, readPatched(call, current.object, type, body, options), { ...options, ...part })
}

/** The patched form of an object that is shown and not stored, of the call's kind. */
export function patchedObject(call: Call, object: StoredObject): ApiObject {
  const type = patchType(call)
  if (type !== 'apply') return readPatched(call, object, type, patchBody(call, type), writeOptions(call))
  throw unsupportedMediaType(
    Object.keys(types)
      .filter((name) => !name.includes('apply'))
      .join(', '),
  )
}

function readPatched(
  call: Call,
  current: StoredObject,
  type: Exclude<PatchType, 'apply'>,
  body: Body,
  options: WriteOptions,
): ApiObject {
  const { resource } = call
  const patched = patchedValue(call, current, type, body.value)
  if (!isPlainObject(patched)) throw badRequest('the patch leaves no object')
  const decoded = decodeAs(resource, patched)
  tell(call, resource, [...body.problems, ...decoded.unknown.map(unknownFieldText)], options)
  const object = decoded.object
  if (object.kind !== resource.kind.kind || object.apiVersion !== resource.apiVersion)
    throw badRequest(`a patch must not change apiVersion or kind (${resource.apiVersion} ${resource.kind.kind})`)
  object.metadata ??= {}
  checkName(call, object)
  settleNamespace(call, object)
  return object
}

function patchedValue(call: Call, object: StoredObject, type: Exclude<PatchType, 'apply'>, value: unknown): unknown {
  switch (type) {
    case 'json':
      return applyJsonPatch(object, value)
    case 'merge':
      return applyMergePatch(object, value)
    default:
      return applyStrategicPatch(object, value, shapeOf(call.resource))
  }
}

function requireFieldManager(call: Call): void {
  if (call.request.query.get('fieldManager')) return
  throw invalid(
    'PatchOptions',
    '',
    [{ type: 'FieldValueRequired', field: 'fieldManager', detail: 'is required for apply patch' }],
    'meta.k8s.io',
  )
}

const isForced = (call: Call): boolean => ['true', '1'].includes(call.request.query.get('force') ?? '')

/** What a server-side apply to a part that is not stored itself (a Scale) says; undefined for other patches. */
export function appliedBody(call: Call): { value: unknown; force: boolean } | undefined {
  if (call.info.verb !== 'patch' || patchType(call) !== 'apply') return undefined
  requireFieldManager(call)
  return { value: patchBody(call, 'apply').value, force: isForced(call) }
}

async function apply(
  call: Call,
  body: Body,
  options: WriteOptions & { force: boolean },
  part: Part,
): Promise<ApiResponse> {
  const { resource, info, engine } = call
  requireFieldManager(call)
  const current = engine.objects.get(resource, info.namespace, info.name)
  if (!current && part.subresource) existing(call)
  const owner = { fieldManager: options.fieldManager, subresource: part.subresource, force: options.force }
  const merged = applyTo(call, current?.object, body.value, owner)
  const decoded = decodeAs(resource, merged.object)
  tell(call, resource, [...body.problems, ...decoded.unknown.map(unknownFieldText)], options)
  const { object } = decoded
  checkName(call, object)
  settleNamespace(call, object)
  if (current)
    return answer(call, 200, await updateObject(call, current, object, { ...options, ...part, applied: true }))
  if (object.metadata.uid)
    throw conflict(
      resource.plural,
      info.name,
      `uid mismatch: the provided object specified uid ${object.metadata.uid}, and no existing object was found`,
      resource.group,
    )
  return answer(call, 201, await createObject(call, object, options, true))
}
