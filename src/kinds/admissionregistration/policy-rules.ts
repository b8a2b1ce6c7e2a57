// What both kinds of admission policies share: their requests, variables and conditions
// (pkg/apis/admissionregistration/validation, 1.36).

import { celAdmission } from '../../api/cel/lazy.ts'
import type { Type } from '../../api/cel/types.ts'
import type { FieldError } from '../../api/errors.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { validateMatchConditions } from './match-conditions.ts'
import { defaultMatchResources, validateMatchResources, validateParamKind } from './policy-match-rules.ts'

type Json = Record<string, any>
type Expected = Parameters<ReturnType<typeof celAdmission>['compileAdmission']>[1]

export function defaultPolicy(spec: Json | undefined): void {
  if (!spec) return
  spec.failurePolicy ??= 'Fail'
  defaultMatchResources(spec.matchConstraints)
}

/** Checks expressions that see the variables before them. */
export class Expressions {
  readonly variables = new Map<string, Type>()
  readonly params: boolean

  constructor(params: boolean) {
    this.params = params
  }

  check(expression: string, expected: Expected, path: string, authorizer = true): FieldError[] {
    const { params, variables } = this
    const problem = celAdmission().admissionProblem(expression, expected, { params, authorizer, variables })
    return problem === undefined ? [] : [invalidValue(path, expression, problem)]
  }

  /** A variable that does not compile is one of any type for those after it. */
  declare(name: string, expression: string, path: string): FieldError[] {
    const cel = celAdmission()
    const { params, variables } = this
    try {
      variables.set(name, cel.compileAdmission(expression, 'any', { params, authorizer: true, variables }).type)
      return []
    } catch (error) {
      return [invalidValue(path, expression, cel.compileProblem(error))]
    }
  }
}

export function validatePolicy(spec: Json, old: Json | undefined, expressions: Expressions): FieldError[] {
  const errors: FieldError[] = []
  if (!['Fail', 'Ignore'].includes(spec.failurePolicy)) {
    errors.push(notSupported('spec.failurePolicy', spec.failurePolicy, ['Fail', 'Ignore']))
  }
  errors.push(...validateParamKind(spec.paramKind, 'spec.paramKind'))
  if (!spec.matchConstraints) errors.push(requiredValue('spec.matchConstraints'))
  else {
    errors.push(...validateMatchResources(spec.matchConstraints, 'spec.matchConstraints'))
    if (!spec.matchConstraints.resourceRules?.length) errors.push(requiredValue('spec.matchConstraints.resourceRules'))
  }
  const conditions = spec.matchConditions ?? []
  if (!old || !equalJson(conditions, old.matchConditions ?? [])) {
    errors.push(...validateMatchConditions(conditions, 'spec.matchConditions', new Set(), expressions.params))
  }
  for (const [index, variable] of (spec.variables ?? []).entries()) {
    errors.push(...validateVariable(variable, `spec.variables[${index}]`, expressions))
  }
  return errors
}

const reserved =
  /^(true|false|null|in|as|break|const|continue|else|for|function|if|import|let|loop|package|namespace|return|var|void|while)$/

function validateVariable({ name = '', expression = '' }: Json, path: string, expressions: Expressions): FieldError[] {
  const errors: FieldError[] = []
  if (name.trim() === '') errors.push(requiredValue(`${path}.name`, 'name is not specified'))
  else if (!/^[_a-zA-Z][_a-zA-Z0-9]*$/.test(name) || reserved.test(name)) {
    errors.push(invalidValue(`${path}.name`, name, 'must be a valid CEL identifier'))
  }
  if (expression.trim() === '') errors.push(requiredValue(`${path}.expression`, 'expression is not specified'))
  else errors.push(...expressions.declare(name, expression, `${path}.expression`))
  return errors
}
