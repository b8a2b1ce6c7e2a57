// What VirtualMachineInstanceReplicaSets and VirtualMachinePools have in common: a selector that their template fits.

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { selectorMatcher } from '../../api/selector.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden, invalidValue, requiredValue } from '../../api/walk/rules.ts'

/** Texts: vmirs-admitter.go, vmpool-admitter.go (KubeVirt 1.9). */
export function validateReplicas(object: ApiObject, old: ApiObject | undefined, template: string): FieldError[] {
  const { spec } = object
  if (!spec) return [requiredValue('spec')]
  const errors: FieldError[] = []
  if (spec.replicas < 0) errors.push(invalidValue('spec.replicas', spec.replicas, 'must be greater than or equal to 0'))
  const { matchLabels, matchExpressions } = spec.selector ?? {}
  if (!Object.keys(matchLabels ?? {}).length && !matchExpressions?.length)
    errors.push(requiredValue('spec.selector', 'selector is required and must not be empty'))
  else if (!selectorMatcher(spec.selector).matches(spec[template]?.metadata?.labels))
    errors.push(invalidValue('spec.selector', spec.selector, 'selector does not match labels.'))
  if (old && !equalJson(spec.selector, old.spec?.selector))
    errors.push(forbidden('spec.selector', 'selector is immutable after creation.'))
  return errors
}
