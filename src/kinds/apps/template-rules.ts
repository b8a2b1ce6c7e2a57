// What Deployments and ReplicaSets have in common: a selector and a Pod template (pkg/apis/apps/validation, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { validatePodSpec } from '../core/pod-rules.ts'
import { forbidden, immutable, invalid, notSupported, required } from '../rules/field.ts'
import { checkLabels } from '../rules/names.ts'
import { matchesLabels, selectsNothing, validateLabelSelector } from '../rules/selector.ts'

export function validateCount(field: string, count: unknown): FieldError[] {
  return typeof count === 'number' && count < 0 ? [invalid(field, count, 'must be greater than or equal to 0')] : []
}

export function validateReplicated(spec: any, old: any, kind: string): FieldError[] {
  if (!spec) return []
  const errors = [
    ...validateCount('spec.replicas', spec.replicas),
    ...validateCount('spec.minReadySeconds', spec.minReadySeconds),
  ]
  if (!spec.selector) errors.push(required('spec.selector'))
  else {
    errors.push(...validateLabelSelector(spec.selector, 'spec.selector'))
    if (selectsNothing(spec.selector))
      errors.push(invalid('spec.selector', spec.selector, `empty selector is invalid for ${kind}`))
  }
  if (old) errors.push(...immutable('spec.selector', spec.selector, old.selector))
  return [...errors, ...validateTemplate(spec)]
}

function validateTemplate({ selector, template }: any): FieldError[] {
  const labels = template?.metadata?.labels
  const errors: FieldError[] = checkLabels('spec.template.metadata.labels', labels)
  if (selector && !selectsNothing(selector) && !matchesLabels(selector, labels))
    errors.push(invalid('spec.template.metadata.labels', labels ?? {}, '`selector` does not match template `labels`'))
  const podSpec = template?.spec
  errors.push(...validatePodSpec(podSpec, 'spec.template.spec'))
  if (podSpec?.restartPolicy && podSpec.restartPolicy !== 'Always')
    errors.push(notSupported('spec.template.spec.restartPolicy', podSpec.restartPolicy, ['Always']))
  if (podSpec?.activeDeadlineSeconds !== undefined)
    errors.push(
      forbidden('spec.template.spec.activeDeadlineSeconds', 'activeDeadlineSeconds in ReplicaSet is not Supported'),
    )
  return errors
}
