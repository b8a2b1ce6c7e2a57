// Checks data against its schema and says what is wrong in upstream's words (kube-openapi validation and
// apiextensions, 1.32). Rules that no schema can say belong to the kinds.

import type { FieldError } from '../errors.ts'
import type { DecodeMode } from './decode.ts'
import { equalJson, isPlainObject, own } from './plain.ts'
import { checkCount, checkDuplicates, checkEnum, checkNumber, checkString, invalidValue, stableText } from './rules.ts'
import type { Shape } from './shape.ts'

interface Run {
  structural: boolean
  errors: FieldError[]
}

const maxErrors = 100

/**
 * Every problem that the schema finds, at most 100. In `typed` mode (built-in kinds, whose types decoding has checked)
 * numbers and booleans need not be there and status is free, because Go fills them with zero; list keys may repeat,
 * because upstream leaves that to each kind.
 *
 * `old` is what an update replaces: a part that stayed as it was is let through even if it would be refused today
 * (CRDValidationRatcheting, apiextensions pkg/apiserver/validation/ratcheting.go, 1.36).
 */
export function validateSchema(
  value: unknown,
  shape: Shape,
  mode: DecodeMode,
  path = '',
  old: unknown = undefined,
): FieldError[] {
  const run: Run = { structural: mode === 'structural', errors: [] }
  check(run, shape, value, path, old)
  return run.errors.slice(0, maxErrors)
}

function check(run: Run, shape: Shape, value: unknown, path: string, old?: unknown): void {
  if (run.errors.length >= maxErrors) return
  const before = run.errors.length
  checkValue(run, shape, value, path, old)
  if (old !== undefined && run.errors.length > before && equalJson(old, value)) run.errors.length = before
}

function checkValue(run: Run, shape: Shape, value: unknown, path: string, old: unknown): void {
  if (run.structural) {
    if (!checkType(run, shape, value, path)) return
    if (value === null) return
  } else if (!shape.hasRules || value === null || value === undefined) return
  if (shape.schema.enum) checkEnum(run.errors, shape.schema, value, path)
  if (typeof value === 'object') {
    if (Array.isArray(value)) checkList(run, shape, value, path, old)
    else checkObject(run, shape, value as Record<string, unknown>, path, old)
  } else if (typeof value === 'string') checkString(run.errors, shape, value, path, run.structural)
  else if (typeof value === 'number') checkNumber(run.errors, shape.schema, value, path)
  if (shape.schema.allOf || shape.schema.anyOf || shape.schema.oneOf || shape.schema.not)
    checkCombined(run, shape, value, path, old)
}

function checkObject(run: Run, shape: Shape, object: Record<string, unknown>, path: string, old?: unknown): void {
  const { schema } = shape
  const before = isPlainObject(old) && schema.mapType !== 'atomic' ? old : undefined
  if (schema.minProperties !== undefined || schema.maxProperties !== undefined)
    checkCount(run.errors, Object.keys(object).length, schema.minProperties, schema.maxProperties, 'properties', path)
  for (const name of shape.required) {
    const present = Object.hasOwn(object, name) ? object[name] : undefined
    if (isMissing(run, shape.fields.get(name), present))
      run.errors.push({ type: 'FieldValueRequired', field: child(path, name), detail: '' })
  }
  for (const key of Object.keys(object)) {
    const part = object[key]
    const field = shape.fields.get(key)
    if (part === undefined || (!run.structural && skips(field ?? shape.values, key, path))) continue
    const was = before && own(before, key)
    if (field) check(run, field, part, child(path, key), was)
    else if (shape.values) check(run, shape.values, part, run.structural ? child(path, key) : `${path}[${key}]`, was)
  }
}

const skips = (shape: Shape | undefined, key: string, path: string): boolean =>
  !shape?.hasRules || (path === '' && key === 'status')

function isMissing(run: Run, field: Shape | undefined, value: unknown): boolean {
  if (run.structural) return value === undefined || (value === null && field?.schema.nullable !== true)
  if (!field || field.kind === 'integer' || field.kind === 'number' || field.kind === 'boolean') return false
  return value === undefined || value === null || value === ''
}

function checkList(run: Run, shape: Shape, list: unknown[], path: string, old: unknown): void {
  const { schema } = shape
  if (schema.minItems !== undefined || schema.maxItems !== undefined)
    checkCount(run.errors, list.length, schema.minItems, schema.maxItems, 'items', path)
  const had = Array.isArray(old) ? old : []
  if (run.structural && (shape.associative || schema.uniqueItems) && !hasDuplicates(shape, had))
    checkDuplicates(run.errors, shape, list, path)
  const items = shape.items
  if (!items || (!run.structural && !items.hasRules)) return
  const find = had.length > 0 ? sameItem(shape, had) : undefined
  for (let index = 0; index < list.length; index++)
    check(run, items, list[index], `${path}[${index}]`, find?.(list[index]))
}

function hasDuplicates(shape: Shape, list: unknown[]): boolean {
  const errors: FieldError[] = []
  checkDuplicates(errors, shape, list, '')
  return errors.length > 0
}

/** Items that keys identify can be compared with what they were. */
function sameItem(shape: Shape, old: unknown[]): ((item: unknown) => unknown) | undefined {
  if (shape.listKeys.length === 0) return undefined
  const identity = (item: unknown) =>
    stableText(shape.listKeys.map((key) => (isPlainObject(item) ? own(item, key) : null)))
  const known = new Map(old.map((item) => [identity(item), item]))
  return (item) => known.get(identity(item))
}

const child = (path: string, name: string): string => (path ? `${path}.${name}` : name)

function checkType(run: Run, shape: Shape, value: unknown, path: string): boolean {
  const actual = jsonType(value)
  if (actual === 'null') {
    if (shape.schema.nullable || shape.kind === 'any') return true
  } else if (fits(shape, actual)) return true
  const expected = shape.kind === 'int-or-string' || shape.kind === 'quantity' ? 'integer,string' : expectedType(shape)
  run.errors.push({
    type: 'FieldValueTypeInvalid',
    field: path,
    value: actual,
    detail: `${path} in body must be of type ${expected}: ${JSON.stringify(actual)}`,
  })
  return false
}

function fits(shape: Shape, actual: string): boolean {
  switch (shape.kind) {
    case 'any':
      return true
    case 'map':
      return actual === 'object'
    case 'int-or-string':
      return actual === 'integer' || actual === 'string'
    case 'quantity':
      return actual === 'integer' || actual === 'string' || actual === 'number'
    case 'number':
      return actual === 'number' || actual === 'integer'
    default:
      return actual === shape.kind
  }
}

const expectedType = (shape: Shape): string => (shape.kind === 'map' ? 'object' : shape.kind)

function jsonType(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

function checkCombined(run: Run, shape: Shape, value: unknown, path: string, old: unknown): void {
  const passes = (part: Shape): boolean => {
    const probe: Run = { structural: run.structural, errors: [] }
    checkPart(probe, part, value, path, old)
    return probe.errors.length === 0
  }
  for (const part of shape.allOf) checkPart(run, part, value, path, old)
  const say = (text: string) => run.errors.push(invalidValue('<nil>', '', `${JSON.stringify(path)} ${text}`))
  if (shape.anyOf.length && !shape.anyOf.some(passes)) say('must validate at least one schema (anyOf)')
  if (shape.oneOf.length) {
    const count = shape.oneOf.filter(passes).length
    if (count === 0) say('must validate one and only one schema (oneOf). Found none valid')
    if (count > 1) say(`must validate one and only one schema (oneOf). Found ${count} valid alternatives`)
  }
  if (shape.not && passes(shape.not)) say('must not validate the schema (not)')
}

/** A part of allOf, anyOf … often names no type, only required fields or a pattern. */
function checkPart(run: Run, part: Shape, value: unknown, path: string, old: unknown): void {
  const open = part.schema.type === undefined && part.kind !== 'int-or-string' && run.structural
  check(run, open ? { ...part, kind: 'any' } : part, value, path, old)
}
