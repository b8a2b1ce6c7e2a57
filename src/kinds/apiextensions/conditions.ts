// Conditions of a CustomResourceDefinition (apiextensions pkg/apihelpers/helpers.go, 1.36). Pure.

import type { ApiObject } from '../../api/meta.ts'

export interface DefinitionCondition {
  type:
    | 'NamesAccepted'
    | 'Established'
    | 'Terminating'
    | 'NonStructuralSchema'
    | 'KubernetesAPIApprovalPolicyConformant'
  status: 'True' | 'False' | 'Unknown'
  reason: string
  message: string
  lastTransitionTime?: string
}

export const findCondition = (
  definition: ApiObject,
  type: DefinitionCondition['type'],
): DefinitionCondition | undefined =>
  definition.status?.conditions?.find((condition: DefinitionCondition) => condition.type === type)

export const conditionIs = (definition: ApiObject, type: DefinitionCondition['type'], status: string): boolean =>
  findCondition(definition, type)?.status === status

/** The list with the condition set; its time changes when its status does. */
export function withCondition(
  conditions: readonly DefinitionCondition[],
  condition: DefinitionCondition,
  now: string,
): DefinitionCondition[] {
  const before = conditions.find((one) => one.type === condition.type)
  const same = before?.status === condition.status && before.lastTransitionTime
  const next = { ...condition, lastTransitionTime: same ? before.lastTransitionTime! : now }
  return before ? conditions.map((one) => (one === before ? next : one)) : [...conditions, next]
}
