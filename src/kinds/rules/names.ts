// Names and ports inside specs, as field errors.

import type { FieldError } from '../../api/errors.ts'
import { portNameProblems, portNumberProblems } from '../../api/names.ts'
import { invalidValue, requiredValue } from '../../api/walk/rules.ts'

export function checkPort(field: string, port: unknown): FieldError[] {
  return portNumberProblems(typeof port === 'number' ? port : 0).map((text) => invalidValue(field, port ?? 0, text))
}

/** A number, or the name of a port. */
export function checkPortOrName(field: string, port: unknown): FieldError[] {
  if (typeof port !== 'string') return checkPort(field, port)
  return portNameProblems(port).map((text) => invalidValue(field, port, text))
}

/** A name that must be there and follow a rule. */
export function checkName(field: string, name: unknown, rule: (name: string) => string[]): FieldError[] {
  if (typeof name !== 'string' || name === '') return [requiredValue(field)]
  return rule(name).map((text) => invalidValue(field, name, text))
}
