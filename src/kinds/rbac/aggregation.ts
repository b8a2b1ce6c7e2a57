// ClusterRoles that are put together from others: those whose labels their selectors name, in the order of their names,
// each rule once (pkg/controller/clusterroleaggregation, 1.36). Pure.

import type { ApiObject } from '../../api/meta.ts'
import { selectorMatcher } from '../../api/selector.ts'
import { stableText } from '../../api/walk/rules.ts'

/** The rules that an aggregated role shall have; undefined when it is none. */
export function aggregatedRules(role: ApiObject, all: readonly ApiObject[]): unknown[] | undefined {
  const selectors: unknown[] | undefined = role.aggregationRule?.clusterRoleSelectors
  if (!role.aggregationRule) return undefined
  const rules = new Map<string, unknown>()
  for (const selector of selectors ?? []) {
    const { matches } = selectorMatcher(selector as Parameters<typeof selectorMatcher>[0])
    const chosen = all
      .filter((one) => one.metadata.name !== role.metadata.name && matches(one.metadata.labels))
      .sort((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1))
    for (const one of chosen) for (const rule of one.rules ?? []) rules.set(stableText(rule), rule)
  }
  return [...rules.values()]
}
