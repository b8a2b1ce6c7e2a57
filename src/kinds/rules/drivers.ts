// Names of drivers, of storage and of devices alike (pkg/apis/core/validation ValidateCSIDriverName, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { dnsSubdomainProblems } from '../../api/names.ts'
import { invalidValue, requiredValue, tooLong } from '../../api/walk/rules.ts'

/** A DNS subdomain of at most 63 characters, in any case. */
export function validateDriverName(name: unknown, field: string): FieldError[] {
  if (typeof name !== 'string' || name === '') return [requiredValue(field)]
  const errors = dnsSubdomainProblems(name.toLowerCase()).map((problem) => invalidValue(field, name, problem))
  return name.length > 63 ? [tooLong(field, 63), ...errors] : errors
}
