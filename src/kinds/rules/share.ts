// Whole numbers that may not be negative, and numbers that may also be a percentage (ValidatePositiveIntOrPercent, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { invalidValue } from '../../api/walk/rules.ts'

const percent = /^[0-9]+%$/
const percentText =
  "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"

export function validateCount(field: string, count: unknown): FieldError[] {
  return typeof count === 'number' && count < 0
    ? [invalidValue(field, count, 'must be greater than or equal to 0')]
    : []
}

/** A number from 0 on, or a percentage of any size. */
export function validateShare(field: string, value: unknown): FieldError[] {
  if (typeof value === 'number') return validateCount(field, value)
  if (typeof value === 'string' && !percent.test(value)) return [invalidValue(field, value, percentText)]
  return []
}

export const notMoreThanAll = (field: string, value: unknown): FieldError[] =>
  typeof value === 'string' && percent.test(value) && Number.parseInt(value, 10) > 100
    ? [invalidValue(field, value, 'must not be greater than 100%')]
    : []

export const isZeroShare = (value: unknown): boolean =>
  value === undefined || value === 0 || (typeof value === 'string' && Number.parseInt(value, 10) === 0)
