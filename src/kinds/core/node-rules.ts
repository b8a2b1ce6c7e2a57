// Rules for a Node (pkg/apis/core/validation ValidateNode and ValidateNodeUpdate, Kubernetes 1.36).

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { labelValueProblems, qualifiedNameProblems } from '../../api/names.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { duplicateValue, forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'

const effects = ['NoExecute', 'NoSchedule', 'PreferNoSchedule']

function validateTaints(taints: any[] = [], field: string): FieldError[] {
  const seen = new Set<string>()
  return taints.flatMap(({ key, value = '', effect }, index) => {
    const at = `${field}[${index}]`
    const errors = [
      ...qualifiedNameProblems(key ?? '').map((problem) => invalidValue(`${at}.key`, key, problem)),
      ...labelValueProblems(value).map((problem) => invalidValue(`${at}.value`, value, problem)),
    ]
    if (!effect) errors.push(requiredValue(`${at}.effect`))
    else if (!effects.includes(effect)) errors.push(notSupported(`${at}.effect`, effect, effects))
    if (seen.has(`${key} ${effect}`))
      errors.push({ ...duplicateValue(at, `${key}:${effect}`), detail: 'taints must be unique by key and effect pair' })
    seen.add(`${key} ${effect}`)
    return errors
  })
}

export function validateNode(node: ApiObject, old?: ApiObject): FieldError[] {
  const errors = validateTaints(node.spec?.taints, old ? 'metadata.taints' : 'spec.taints')
  const seen = new Set<string>()
  for (const [index, address] of (node.status?.addresses ?? []).entries()) {
    const key = JSON.stringify([address.type, address.address])
    if (seen.has(key)) errors.push(duplicateValue(`status.addresses[${index}]`, address))
    seen.add(key)
  }
  if (!old) return errors
  const { podCIDRs, providerID } = old.spec ?? {}
  if (podCIDRs?.length && !equalJson(podCIDRs, node.spec?.podCIDRs))
    errors.push(forbidden('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid'))
  if (providerID && providerID !== node.spec?.providerID)
    errors.push(forbidden('spec.providerID', 'node updates may not change providerID except from "" to valid'))
  return errors
}
