// matchConditions: CEL expressions that narrow what a webhook or policy is asked about
// (pkg/apis/admissionregistration/validation, 1.36).

import { celAdmission } from '../../api/cel/lazy.ts'
import type { FieldError } from '../../api/errors.ts'
import { qualifiedNameProblems } from '../../api/names.ts'
import { invalidValue, requiredValue, tooMany } from '../../api/walk/rules.ts'
import { uniqueNames } from '../rules/field.ts'

interface Condition {
  name?: string
  expression?: string
}

const most = 64

/** `known`: expressions that the object had before; `params`: they may name params. */
export function validateMatchConditions(
  conditions: Condition[],
  path: string,
  known: ReadonlySet<string>,
  params = false,
): FieldError[] {
  const errors: FieldError[] = []
  if (conditions.length > most) errors.push(tooMany(path, conditions.length, most))
  conditions.forEach(({ name, expression }, index) => {
    if (!expression?.trim()) errors.push(requiredValue(`${path}[${index}].expression`))
    else if (!known.has(expression)) {
      const problem = celAdmission().admissionProblem(expression.trim(), 'bool', { params, authorizer: true })
      if (problem) errors.push(invalidValue(`${path}[${index}].expression`, expression.trim(), problem))
    }
    if (!name) errors.push(requiredValue(`${path}[${index}].name`))
    else
      for (const problem of qualifiedNameProblems(name))
        errors.push(invalidValue(`${path}[${index}].name`, name, problem))
  })
  return [...errors, ...uniqueNames(path, conditions)]
}
