// The groups of the Kubernetes project may only be used with its approval (apiextensions pkg/apihelpers/helpers.go, 1.36).

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { invalidValue, requiredValue } from '../../api/walk/rules.ts'
import type { DefinitionCondition } from './conditions.ts'

const annotation = 'api-approved.kubernetes.io'
const proposal = 'https://github.com/kubernetes/enhancements/pull/1111'

type Approval = 'missing' | 'bypassed' | 'approved' | 'invalid'

export const isProtectedGroup = (group: string): boolean => /(^|\.)(k8s|kubernetes)\.io$/.test(group)

function approvalOf(definition: ApiObject): { state: Approval; reason: string } {
  const text = definition.metadata.annotations?.[annotation] ?? ''
  const must = `protected groups must have approval annotation "${annotation}"`
  if (!text) return { state: 'missing', reason: `${must}, see ${proposal}` }
  if (text.startsWith('unapproved')) return { state: 'bypassed', reason: `not approved: ${JSON.stringify(text)}` }
  if (URL.canParse(text) && new URL(text).host) return { state: 'approved', reason: `approved in ${text}` }
  return {
    state: 'invalid',
    reason: `${must} with either a URL or a reason starting with "unapproved", see ${proposal}`,
  }
}

export function approvalProblems(definition: ApiObject, old: ApiObject | undefined): FieldError[] {
  if (!isProtectedGroup(definition.spec?.group ?? '')) return []
  const { state, reason } = approvalOf(definition)
  if (old && approvalOf(old).state === state) return []
  const path = `metadata.annotations[${annotation}]`
  if (state === 'missing') return [requiredValue(path, reason)]
  return state === 'invalid' ? [invalidValue(path, definition.metadata.annotations?.[annotation], reason)] : []
}

const reasons: Record<Approval, string> = {
  missing: 'MissingAnnotation',
  bypassed: 'UnapprovedAnnotation',
  approved: 'ApprovedAnnotation',
  invalid: 'InvalidAnnotation',
}

export function approvalCondition(definition: ApiObject): DefinitionCondition | undefined {
  if (!isProtectedGroup(definition.spec.group)) return undefined
  const { state, reason } = approvalOf(definition)
  return {
    type: 'KubernetesAPIApprovalPolicyConformant',
    status: state === 'approved' ? 'True' : 'False',
    reason: reasons[state],
    message: reason,
  }
}
