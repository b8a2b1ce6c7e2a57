// Sources of snapshots and of their contents: one of two fields, which stays as it is. Rules and texts of the definitions'
// CEL (external-snapshotter 8.6).

import type { FieldError } from '../../api/errors.ts'
import { invalidValue } from '../../api/walk/rules.ts'

export function oneOfTwo(at: string, source: any, old: any, fields: [string, string]): FieldError[] {
  const errors: FieldError[] = []
  for (const field of fields) {
    if (old?.[field] === undefined) continue
    if (source?.[field] === undefined) errors.push(invalidValue(at, source ?? null, `${field} is required once set`))
    else if (source[field] !== old[field])
      errors.push(invalidValue(`${at}.${field}`, source[field], `${field} is immutable`))
  }
  if (source && fields.filter((field) => source[field] !== undefined).length !== 1)
    errors.push(invalidValue(at, source, `exactly one of ${fields[0]} and ${fields[1]} must be set`))
  return errors
}
