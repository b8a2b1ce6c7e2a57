// Field errors in upstream's words (apimachinery pkg/util/validation/field, Kubernetes 1.36).

import type { FieldError } from '../../api/errors.ts'

export const required = (field: string, detail = ''): FieldError => ({ type: 'FieldValueRequired', field, detail })

export const invalid = (field: string, value: unknown, detail: string): FieldError => ({
  type: 'FieldValueInvalid',
  field,
  value,
  detail,
})

export const duplicate = (field: string, value: unknown): FieldError => ({
  type: 'FieldValueDuplicate',
  field,
  value,
  detail: '',
})

export const forbidden = (field: string, detail: string): FieldError => ({ type: 'FieldValueForbidden', field, detail })

export const notFound = (field: string, value: unknown): FieldError => ({
  type: 'FieldValueNotFound',
  field,
  value,
  detail: '',
})

export const notSupported = (field: string, value: unknown, supported: string[]): FieldError => ({
  type: 'FieldValueNotSupported',
  field,
  value,
  detail: `supported values: ${supported.map((name) => JSON.stringify(name)).join(', ')}`,
})

export const tooLong = (field: string, maximum: number): FieldError => ({
  type: 'FieldValueTooLong',
  field,
  detail: `may not be more than ${maximum} bytes`,
})

export const immutableText = 'field is immutable'

/** An error when the field was changed by an update. */
export function immutable(field: string, value: unknown, before: unknown, detail = immutableText): FieldError[] {
  return sameJson(value, before) ? [] : [invalid(field, value ?? null, detail)]
}

/** Equality of JSON values; the order of keys does not count. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b) return false
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false
    return a.every((item, index) => sameJson(item, b[index]))
  }
  const left = a as Record<string, unknown>
  const right = b as Record<string, unknown>
  const keys = new Set([...Object.keys(left), ...Object.keys(right)])
  return [...keys].every((key) => sameJson(left[key], right[key]))
}

/** Duplicates among names: one error at the second and later places. */
export function uniqueNames(field: string, items: unknown[], key = 'name'): FieldError[] {
  const seen = new Set<unknown>()
  const errors: FieldError[] = []
  items.forEach((item, index) => {
    const name = (item as Record<string, unknown> | undefined)?.[key]
    if (name === undefined || name === '') return
    if (seen.has(name)) errors.push(duplicate(`${field}[${index}].${key}`, name))
    seen.add(name)
  })
  return errors
}
