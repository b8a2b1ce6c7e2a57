// matchLabelKeys and mismatchLabelKeys: the values that a Pod's labels have at its creation become part of its selectors
// (pkg/registry/core/pod/strategy.go, Kubernetes 1.36).

import type { ApiObject } from '../../api/meta.ts'

type Labels = Record<string, string>

function extend(holder: any, keys: string[] | undefined, operator: 'In' | 'NotIn', labels: Labels): void {
  if (!holder.labelSelector || !keys?.length) return
  const added = keys.flatMap((key) => (Object.hasOwn(labels, key) ? [{ key, operator, values: [labels[key]] }] : []))
  if (!added.length) return
  holder.labelSelector = {
    ...holder.labelSelector,
    matchExpressions: [...(holder.labelSelector.matchExpressions ?? []), ...added],
  }
}

export function mergeLabelKeys(pod: ApiObject): void {
  const { affinity, topologySpreadConstraints } = pod.spec
  if (!affinity && !topologySpreadConstraints) return
  const labels = pod.metadata.labels ?? {}
  for (const kind of ['podAffinity', 'podAntiAffinity']) {
    const terms = affinity?.[kind]
    const preferred = (terms?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
      (one: any) => one.podAffinityTerm,
    )
    for (const term of [...(terms?.requiredDuringSchedulingIgnoredDuringExecution ?? []), ...preferred]) {
      if (!term) continue
      extend(term, term.matchLabelKeys, 'In', labels)
      extend(term, term.mismatchLabelKeys, 'NotIn', labels)
    }
  }
  for (const constraint of topologySpreadConstraints ?? []) extend(constraint, constraint.matchLabelKeys, 'In', labels)
}
