// What the kinds of storage drivers have in common (pkg/apis/storage/validation, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { qualifiedNameProblems } from '../../api/names.ts'
import { invalidValue, requiredValue, tooLong } from '../../api/walk/rules.ts'

/** 'example.com/disks' in any case. */
export function validateProvisioner(name: unknown, field: string): FieldError[] {
  if (typeof name !== 'string' || name === '') return [requiredValue(field)]
  return qualifiedNameProblems(name.toLowerCase()).map((problem) => invalidValue(field, name.toLowerCase(), problem))
}

const mostParameters = 512
const mostParameterBytes = 256 * 1024

export function validateParameters(parameters: unknown, needsOne: boolean): FieldError[] {
  const entries = Object.entries((parameters ?? {}) as Record<string, string>)
  if (entries.length > mostParameters) return [tooLong('parameters', mostParameters)]
  const errors = entries
    .filter(([key]) => key === '')
    .map(([key]) => invalidValue('parameters', key, 'field can not be empty.'))
  const size = entries.reduce((sum, [key, value]) => sum + key.length + String(value).length, 0)
  if (size > mostParameterBytes) errors.push(tooLong('parameters', mostParameterBytes))
  if (needsOne && entries.length === 0)
    errors.push(requiredValue('parameters', 'must contain at least one key/value pair'))
  return errors
}

export const noDriver = 'volumes of CSI drivers cannot be attached or mounted here'
