// A body becomes an object of its kind: read by the schema, unknown fields told or refused, defaults set, rules checked.

import { ApiError, type FieldError, invalid } from '../api/errors.ts'
import type { ApiObject } from '../api/meta.ts'
import { checkSupport, type SupportEntry, supportEntries } from '../api/support.ts'
import {
  cannotBeHandled,
  type Decoded,
  type DecodeMode,
  decode,
  strictDecodingText,
  unknownFieldText,
} from '../api/walk/decode.ts'
import { applyDefaults } from '../api/walk/defaults.ts'
import { isPlainObject } from '../api/walk/plain.ts'
import { objectShape, type Shape } from '../api/walk/shape.ts'
import { validateSchema } from '../api/walk/validate.ts'
import { support } from '../kinds/support.ts'
import type { Body } from './body.ts'
import { badRequest, type Call, type WriteOptions } from './call.ts'
import type { Resource } from './registry.ts'

export const shapeOf = (resource: Resource): Shape => objectShape(resource.kind)

export const modeOf = (resource: Resource): DecodeMode => (resource.custom ? 'structural' : 'typed')

/** The object in a body, the server's own copy. @throws ApiError BadRequest */
export function readObject(
  call: Call,
  resource: Resource,
  body: Body,
  options: Pick<WriteOptions, 'fieldValidation'>,
): ApiObject {
  const { value } = body
  if (!isPlainObject(value)) throw badRequest('the request has no object in its body')
  const sent = value as Partial<ApiObject>
  checkType(resource, sent)
  const decoded = decodeAs(resource, value)
  tell(call, resource, strictProblems(resource, body, decoded.unknown), options)
  const object = decoded.object
  object.apiVersion = resource.apiVersion
  object.kind = resource.kind.kind
  object.metadata ??= {}
  return object
}

/** Duplicate and unknown fields. Built-in kinds are told of them in the order of the text, custom ones first of duplicates. */
function strictProblems(resource: Resource, body: Body, unknown: string[]): string[] {
  const problems = [...body.problems, ...unknown.map(unknownFieldText)]
  if (resource.custom || body.problems.length === 0 || unknown.length === 0) return problems
  const placed = problems.map((text) => ({ text, place: placeOf(body.value, /"(.*)"$/.exec(text)?.[1] ?? '') }))
  const order = (a: number[], b: number[]): number => {
    const at = a.findIndex((index, depth) => index !== b[depth])
    return at < 0 ? 0 : a[at]! - (b[at] ?? -1)
  }
  return placed.sort((a, b) => order(a.place, b.place)).map(({ text }) => text)
}

/** Where a field of parsed JSON stood: the numbers of the keys on the way to it. */
function placeOf(value: unknown, path: string): number[] {
  const place: number[] = []
  let at = value
  for (const step of path.split(/[.[\]]+/)) {
    if (!step || typeof at !== 'object' || at === null) continue
    place.push(Object.keys(at).indexOf(step))
    at = (at as Record<string, unknown>)[step]
  }
  return place
}

/** Reads any value as an object of the resource. @throws ApiError BadRequest for a value of a wrong type */
export function decodeAs(resource: Resource, value: unknown): Decoded<ApiObject> {
  const decoded = decode<ApiObject>(value, shapeOf(resource), modeOf(resource), resource.kind.kind)
  if (decoded.wrong) throw cannotBeHandled(resource.kind.kind, resource.version, decoded.wrong)
  // A kind's own defaults are written for values of the types that its schema names; definitions bring none.
  if (resource.custom && !resource.form) requireTypes(resource, decoded.object)
  return decoded
}

/** @throws ApiError Invalid */
function requireTypes({ kind, group }: Resource, object: ApiObject): void {
  const wrong = validateSchema(object, objectShape(kind), 'structural').filter(
    (error) => error.type === 'FieldValueTypeInvalid',
  )
  if (wrong.length > 0) throw invalid(kind.kind, String(object.metadata?.name ?? ''), wrong, group)
}

/** Strict refuses what the schema does not know, Warn tells it, Ignore is silent (field validation, 1.27 on). */
export function tell(
  call: Call,
  resource: Resource,
  problems: string[],
  options: Pick<WriteOptions, 'fieldValidation'>,
): void {
  if (problems.length === 0 || options.fieldValidation === 'Ignore') return
  if (options.fieldValidation === 'Strict')
    throw cannotBeHandled(resource.kind.kind, resource.version, strictDecodingText(problems))
  call.warnings.push(...problems)
}

function checkType(resource: Resource, sent: Partial<ApiObject>): void {
  for (const name of ['kind', 'apiVersion'] as const)
    if (sent[name] !== undefined && typeof sent[name] !== 'string') throw badRequest(`the object's ${name} is no text`)
  if (sent.kind && sent.kind !== resource.kind.kind)
    throw new ApiError(
      'BadRequest',
      `${sent.kind} in version ${JSON.stringify(sent.apiVersion ?? resource.version)} cannot be handled as a ${resource.kind.kind}: the kind of the object does not match the resource in the URL`,
    )
  if (sent.apiVersion && sent.apiVersion !== resource.apiVersion)
    throw badRequest(
      `the API version in the data (${sent.apiVersion}) does not match the expected API version (${resource.apiVersion})`,
    )
}

/** Constant defaults from the schema, then the kind's own, in place. */
export function complete(resource: Resource, object: ApiObject): void {
  applyDefaults(object, shapeOf(resource))
  resource.kind.defaults?.(object)
}

export function validateObject(
  resource: Resource,
  object: ApiObject,
  old?: ApiObject,
  subresource?: string,
): FieldError[] {
  const errors = validateSchema(object, shapeOf(resource), modeOf(resource), '', resource.custom ? old : undefined)
  const entries = entriesOf(resource)
  if (entries.length > 0) add(errors, checkSupport(entries, object, old).refused)
  // A kind's own rules are written for values of the types that its schema names.
  const isTyped = !errors.some((error) => error.type === 'FieldValueTypeInvalid')
  if (resource.kind.validate && isTyped) add(errors, resource.kind.validate(object, old, subresource))
  if (resource.kind.conclude) add(errors, resource.kind.conclude(object, old, errors))
  return errors
}

/** A hostile object may have more errors than a call takes arguments. */
function add(errors: FieldError[], more: readonly FieldError[]): void {
  for (const error of more) errors.push(error)
}

/** What the client is told of an object that is taken: what the kind says, and fields without effect. */
export function warningsOf(resource: Resource, object: ApiObject, old?: ApiObject): string[] {
  const entries = entriesOf(resource)
  return [
    ...(resource.kind.warnings?.(object, old) ?? []),
    ...(entries.length > 0 ? checkSupport(entries, object, old).warnings : []),
  ]
}

const entriesByResource = new WeakMap<Resource, SupportEntry[]>()

function entriesOf(resource: Resource): SupportEntry[] {
  let entries = entriesByResource.get(resource)
  if (!entries) {
    entries = supportEntries(resource.kind, support)
    entriesByResource.set(resource, entries)
  }
  return entries
}
