// The single rules of a schema: ranges, lengths, patterns, enums, duplicates. Texts of kube-openapi validation (1.32).

import type { FieldError } from '../errors.ts'
import { tryParseQuantity } from '../quantity.ts'
import type { Schema } from '../schema.ts'
import { matchesFormat } from './formats.ts'
import { matchesPattern } from './pattern.ts'
import { equalJson, isPlainObject } from './plain.ts'
import type { Shape } from './shape.ts'

export const invalidValue = (field: string, value: unknown, detail: string): FieldError => ({
  type: 'FieldValueInvalid',
  field,
  value,
  detail,
})

export const requiredValue = (field: string, detail = ''): FieldError => ({ type: 'FieldValueRequired', field, detail })

export const forbidden = (field: string, detail: string): FieldError => ({ type: 'FieldValueForbidden', field, detail })

export const duplicateValue = (field: string, value: unknown): FieldError => ({
  type: 'FieldValueDuplicate',
  field,
  value,
  detail: '',
})

/** 'Unsupported value: "x": supported values: "a", "b"' */
export const notSupported = (field: string, value: unknown, supported: readonly unknown[]): FieldError => ({
  type: 'FieldValueNotSupported',
  field,
  value,
  detail: supported.length ? `supported values: ${supported.map(quoted).join(', ')}` : '',
})

const quoted = (value: unknown): string => JSON.stringify(typeof value === 'string' ? value : JSON.stringify(value))

export const tooLong = (field: string, limit: number): FieldError => ({
  type: 'FieldValueTooLong',
  field,
  detail: `may not be more than ${limit} ${limit === 1 ? 'byte' : 'bytes'}`,
})

/** 'Too many: 5: must have at most 3 items' */
export const tooMany = (field: string, count: number, limit: number): FieldError => ({
  type: 'FieldValueTooMany',
  field,
  value: count,
  detail: `must have at most ${limit} ${limit === 1 ? 'item' : 'items'}`,
})

export function checkEnum(errors: FieldError[], schema: Schema, value: unknown, path: string): void {
  const allowed = schema.enum!
  if (allowed.includes(value) || (typeof value === 'object' && allowed.some((one) => equalJson(one, value)))) return
  errors.push(notSupported(path, value, allowed))
}

export function checkNumber(errors: FieldError[], schema: Schema, value: number, path: string): void {
  const { minimum, maximum, multipleOf } = schema
  const say = (text: string) => errors.push(invalidValue(path, value, `${path} in body should be ${text}`))
  if (schema.format === 'int32' && (value < -(2 ** 31) || value >= 2 ** 31))
    errors.push(invalidValue('<nil>', '', `Checked value must be of type integer with format int32 in ${path}`))
  if (maximum !== undefined && (schema.exclusiveMaximum ? value >= maximum : value > maximum))
    say(schema.exclusiveMaximum ? `less than ${maximum}` : `less than or equal to ${maximum}`)
  if (minimum !== undefined && (schema.exclusiveMinimum ? value <= minimum : value < minimum))
    say(schema.exclusiveMinimum ? `greater than ${minimum}` : `greater than or equal to ${minimum}`)
  if (multipleOf !== undefined && !isMultiple(value, multipleOf)) say(`a multiple of ${multipleOf}`)
}

function isMultiple(value: number, of: number): boolean {
  const ratio = value / of
  return Math.abs(ratio - Math.round(ratio)) < 1e-9
}

/** Characters. */
const hugeText = 4096

export function checkString(errors: FieldError[], shape: Shape, value: string, path: string, formats: boolean): void {
  const { schema } = shape
  const say = (text: string) => errors.push(invalidValue(path, value, `${path} in body ${text}`))
  const isTooLong = schema.maxLength !== undefined && length(value) > schema.maxLength
  if (isTooLong) errors.push(tooLong(path, schema.maxLength!))
  if (schema.minLength !== undefined && length(value) < schema.minLength)
    say(`should be at least ${schema.minLength} chars long`)
  // A pattern costs a millisecond for each two thousand characters; what is refused anyhow is not worth it.
  const isHuge = isTooLong && value.length > hugeText
  if (schema.pattern !== undefined && !isHuge && !matchesPattern(schema.pattern, value))
    say(`should match '${schema.pattern}'`)
  if (!formats) return
  if (shape.kind === 'quantity') {
    if (!tryParseQuantity(value)) say(`should match '${quantityPattern}'`)
  } else if (schema.format && !matchesFormat(schema.format, value))
    errors.push({
      type: 'FieldValueTypeInvalid',
      field: path,
      value,
      detail: `${path} in body must be of type ${schema.format}: ${JSON.stringify(value)}`,
    })
}

/** What generated definitions of custom resources carry for a quantity (controller-gen). */
const quantityPattern =
  '^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$'

/** Go counts characters, not UTF-16 units. */
function length(text: string): number {
  let count = text.length
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code >= 0xd800 && code < 0xdc00) count--
  }
  return count
}

export function checkCount(
  errors: FieldError[],
  count: number,
  least: number | undefined,
  most: number | undefined,
  what: 'items' | 'properties',
  path: string,
): void {
  if (most !== undefined && count > most) errors.push(tooMany(path, count, most))
  if (least !== undefined && count < least)
    errors.push(invalidValue(path, count, `${path} in body should have at least ${least} ${what}`))
}

export function checkDuplicates(errors: FieldError[], shape: Shape, list: unknown[], path: string): void {
  if (shape.schema.uniqueItems && hasDuplicates(list))
    errors.push(invalidValue(path, list, `${path} in body shouldn't contain duplicates`))
  if (!shape.associative) return
  for (const [index, key] of repeatedKeys(list, shape.listKeys)) errors.push(duplicateValue(`${path}[${index}]`, key))
}

const hasDuplicates = (list: unknown[]): boolean => repeatedKeys(list, []).length > 0

/** Index and key of the first repetition of each key; without keys the items themselves are compared (a set). */
export function repeatedKeys(list: readonly unknown[], keys: readonly string[]): [index: number, key: unknown][] {
  if (list.length < 2) return []
  const seen = new Map<string, number>()
  const repeated: [number, unknown][] = []
  for (const [index, item] of list.entries()) {
    const key = keys.length ? keyOf(item, keys) : item
    const text = stableText(key)
    const times = (seen.get(text) ?? 0) + 1
    seen.set(text, times)
    if (times === 2) repeated.push([index, key])
  }
  return repeated
}

function keyOf(item: unknown, keys: readonly string[]): Record<string, unknown> {
  const key: Record<string, unknown> = {}
  if (!isPlainObject(item)) return key
  for (const name of keys) if (Object.hasOwn(item, name)) key[name] = item[name]
  return key
}

/** JSON with sorted names, so that equal data has equal text. */
export function stableText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (Array.isArray(value)) return `[${value.map(stableText).join(',')}]`
  const parts = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${stableText((value as Record<string, unknown>)[key])}`)
  return `{${parts.join(',')}}`
}
