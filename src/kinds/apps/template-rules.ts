// What Deployments and ReplicaSets have in common: a selector and a Pod template (pkg/apis/apps/validation, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { selectorMatcher, validateSelector } from '../../api/selector.ts'
import { validateLabels } from '../../api/validate-meta.ts'
import { forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { validatePodSpec } from '../core/pod-rules.ts'
import { immutable } from '../rules/field.ts'
import { validateCount } from '../rules/share.ts'

export function validateReplicated(spec: any, old: any, kind: string): FieldError[] {
  if (!spec) return []
  const errors = [
    ...validateCount('spec.replicas', spec.replicas),
    ...validateCount('spec.minReadySeconds', spec.minReadySeconds),
  ]
  errors.push(...validateOwnSelector(spec.selector, kind))
  if (old) errors.push(...immutable('spec.selector', spec.selector, old.selector))
  return [...errors, ...validateTemplate(spec, errors.length === 0, 'ReplicaSet')]
}

/** The Pod template of something that keeps Pods running for ever; `owner` is how the texts call it. */
export function validateTemplate({ selector, template }: any, selectorIsSound: boolean, owner: string): FieldError[] {
  const labels = template?.metadata?.labels
  const errors: FieldError[] = validateLabels(labels, 'spec.template.metadata.labels')
  if (selectorIsSound && !selectorMatcher(selector).matches(labels ?? {}))
    errors.push(
      invalidValue('spec.template.metadata.labels', labels ?? {}, '`selector` does not match template `labels`'),
    )
  const podSpec = template?.spec
  errors.push(...validatePodSpec(podSpec, 'spec.template.spec'))
  if (podSpec?.restartPolicy && podSpec.restartPolicy !== 'Always')
    errors.push(notSupported('spec.template.spec.restartPolicy', podSpec.restartPolicy, ['Always']))
  if (podSpec?.activeDeadlineSeconds !== undefined)
    errors.push(
      forbidden('spec.template.spec.activeDeadlineSeconds', `activeDeadlineSeconds in ${owner} is not Supported`),
    )
  return errors
}

/** A selector that must be there and select something. */
export function validateOwnSelector(selector: any, kind: string): FieldError[] {
  if (!selector) return [requiredValue('spec.selector')]
  const errors = validateSelector(selector, 'spec.selector')
  if (!errors.length && selectorMatcher(selector).everything)
    errors.push(invalidValue('spec.selector', selector, `empty selector is invalid for ${kind}`))
  return errors
}
