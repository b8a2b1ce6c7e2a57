// The type check of a ValidatingAdmissionPolicy: its expressions against the kinds that its rules name (facts of
// k8s.io/apiserver/pkg/admission/plugin/policy/validating/typechecking.go, 1.36).

import type { KindDefinition } from '../kind.ts'
import { objectShape } from '../walk/shape.ts'
import { compileAdmission, compileProblem } from './admission.ts'
import { shapeType } from './shape-type.ts'
import type { Type } from './types.ts'

type Json = Record<string, any>

export interface ExpressionWarning {
  fieldRef: string
  warning: string
}

/** More kinds than that are not looked at. */
const mostKinds = 10

export function checkPolicy(spec: Json, kinds: readonly KindDefinition[]): ExpressionWarning[] {
  const checked = kindsToCheck(spec.matchConstraints?.resourceRules ?? [], kinds)
  const params =
    spec.paramKind &&
    kinds.find((kind) => apiVersionOf(kind) === spec.paramKind.apiVersion && kind.kind === spec.paramKind.kind)
  const paramsType = params && shapeType(objectShape(params))
  const warnings: ExpressionWarning[] = []
  const check = (fieldRef: string, expression: string): void => {
    const found = checked.flatMap((kind) => {
      const problem = problemFor(kind, expression, spec, paramsType)
      return problem === undefined ? [] : [`${shown(kind)}: ${problem}\n`]
    })
    if (found.length > 0) warnings.push({ fieldRef, warning: found.join('\n') })
  }
  for (const [index, one] of (spec.validations ?? []).entries()) {
    check(`spec.validations[${index}].expression`, one.expression)
    if (one.messageExpression) check(`spec.validations[${index}].messageExpression`, one.messageExpression)
  }
  return warnings
}

const apiVersionOf = ({ group, version }: KindDefinition): string => (group ? `${group}/${version}` : version)
const shown = ({ group, version, kind }: KindDefinition): string => `${group}/${version}, Kind=${kind}`

/** Rules with wildcards name no kind that could be checked. */
function kindsToCheck(rules: Json[], kinds: readonly KindDefinition[]): KindDefinition[] {
  const found = new Set<KindDefinition>()
  const wild = (list: string[] = []): boolean => list.some((item) => item.includes('*'))
  for (const { apiGroups = [], apiVersions = [], resources = [] } of rules) {
    if (wild(apiGroups) || wild(apiVersions)) continue
    for (const kind of kinds) {
      const named =
        apiGroups.includes(kind.group) && apiVersions.includes(kind.version) && resources.includes(kind.plural)
      if (named && found.size < mostKinds) found.add(kind)
    }
  }
  const key = (kind: KindDefinition): string => [kind.group, kind.version, kind.kind].join('\0')
  return [...found].sort((a, b) => (key(a) < key(b) ? -1 : 1))
}

function problemFor(
  kind: KindDefinition,
  expression: string,
  spec: Json,
  paramsType: Type | undefined,
): string | undefined {
  const variables = new Map<string, Type>()
  const scope = {
    params: spec.paramKind !== undefined,
    authorizer: true,
    variables,
    object: shapeType(objectShape(kind)),
    ...(paramsType && { paramsType }),
  }
  for (const { name, expression: value } of spec.variables ?? []) {
    try {
      variables.set(name, compileAdmission(value, 'any', scope).type)
    } catch (error) {
      // A variable that is wrong is reported where it is used: it is not there.
      compileProblem(error)
    }
  }
  try {
    compileAdmission(expression, 'any', scope)
    return undefined
  } catch (error) {
    return compileProblem(error)
  }
}
