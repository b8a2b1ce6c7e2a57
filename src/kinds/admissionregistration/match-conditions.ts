// matchConditions: CEL expressions that narrow what a webhook or policy is asked about
// (pkg/apis/admissionregistration/validation, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { qualifiedNameProblems } from '../../api/names.ts'
import { forbidden, invalidValue, requiredValue, tooMany } from '../../api/walk/rules.ts'
import { uniqueNames } from '../rules/field.ts'

interface Condition {
  name?: string
  expression?: string
}

const most = 64

/** `known`: expressions that the object had before. */
export function validateMatchConditions(
  conditions: Condition[],
  path: string,
  _known: ReadonlySet<string>,
): FieldError[] {
  const errors: FieldError[] = []
  if (conditions.length > most) errors.push(tooMany(path, conditions.length, most))
  conditions.forEach(({ name, expression }, index) => {
    if (!expression?.trim()) errors.push(requiredValue(`${path}[${index}].expression`))
    else errors.push(forbidden(`${path}[${index}].expression`, 'CEL expressions are not evaluated yet'))
    if (!name) errors.push(requiredValue(`${path}[${index}].name`))
    else
      for (const problem of qualifiedNameProblems(name))
        errors.push(invalidValue(`${path}[${index}].name`, name, problem))
  })
  return [...errors, ...uniqueNames(path, conditions)]
}
