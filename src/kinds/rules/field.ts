// Field errors that the rules of kinds share, beside those of the schema walk (apimachinery util/validation/field).

import type { FieldError } from '../../api/errors.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { duplicateValue, invalidValue } from '../../api/walk/rules.ts'

export const notFound = (field: string, value: unknown): FieldError => ({
  type: 'FieldValueNotFound',
  field,
  value,
  detail: '',
})

/** An error when an update changed the field. */
export const immutable = (field: string, value: unknown, before: unknown): FieldError[] =>
  equalJson(value, before) ? [] : [invalidValue(field, value ?? null, 'field is immutable')]

/** Duplicates among names: one error at the second and later places. */
export function uniqueNames(field: string, items: unknown[], key = 'name'): FieldError[] {
  const seen = new Set<unknown>()
  const errors: FieldError[] = []
  items.forEach((item, index) => {
    const name = (item as Record<string, unknown> | undefined)?.[key]
    if (name === undefined || name === '') return
    if (seen.has(name)) errors.push(duplicateValue(`${field}[${index}].${key}`, name))
    seen.add(name)
  })
  return errors
}
