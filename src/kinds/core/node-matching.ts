// Which Pods are for which nodes: selectors, affinity, taints and tolerations. Pure; mirrored from
// k8s.io/component-helpers/scheduling/corev1 (1.36).

import type { ApiObject } from '../../api/meta.ts'

function matchesExpression(value: string | undefined, operator: string, values: string[] = []): boolean {
  if (operator === 'In') return value !== undefined && values.includes(value)
  if (operator === 'NotIn') return value === undefined || !values.includes(value)
  if (operator === 'Exists') return value !== undefined
  if (operator === 'DoesNotExist') return value === undefined
  if (value === undefined || !/^-?\d+$/.test(value) || !/^-?\d+$/.test(values[0] ?? '')) return false
  return operator === 'Gt' ? BigInt(value) > BigInt(values[0]!) : BigInt(value) < BigInt(values[0]!)
}

/** One of the terms must hold; a term without any expression never does. */
export function matchesNodeTerms(node: ApiObject, terms: any[]): boolean {
  return terms.some(({ matchExpressions = [], matchFields = [] }) => {
    if (!matchExpressions.length && !matchFields.length) return false
    return (
      matchExpressions.every((e: any) => matchesExpression(node.metadata.labels?.[e.key], e.operator, e.values)) &&
      matchFields.every((f: any) => matchesExpression(node.metadata.name, f.operator, f.values))
    )
  })
}

export function matchesNode(pod: ApiObject, node: ApiObject): boolean {
  const labels = node.metadata.labels ?? {}
  const selected = Object.entries(pod.spec.nodeSelector ?? {}).every(([name, value]) => labels[name] === value)
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  return selected && (!required || matchesNodeTerms(node, required.nodeSelectorTerms ?? []))
}

export interface Taint {
  key: string
  value?: string
  effect: string
}

export function tolerates(tolerations: any[] | undefined, taint: Taint): boolean {
  return (tolerations ?? []).some(({ key, operator = 'Equal', value, effect }) => {
    if (effect && effect !== taint.effect) return false
    if (key && key !== taint.key) return false
    if (!key && operator !== 'Exists') return false
    return operator === 'Exists' || (value ?? '') === (taint.value ?? '')
  })
}
