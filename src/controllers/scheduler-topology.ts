// Pods beside Pods: affinity, anti-affinity and spread over the values of a node label. Pure; rules and words of
// pkg/scheduler/framework/plugins/{interpodaffinity,podtopologyspread} (1.36).

import type { StoredObject } from '../api/meta.ts'
import { selectorMatcher } from '../api/selector.ts'
import { matchesNode, type Taint, tolerates } from '../kinds/core/node-matching.ts'
import type { NodeEntry, SchedulerBook } from './scheduler-book.ts'
import type { Misfit } from './scheduler-fit.ts'

/** All nodes, and whose Pods to overlook (they would be gone). */
export interface Surroundings {
  book: SchedulerBook
  nodes: NodeEntry[]
  without: ReadonlySet<string>
  /** Pods that will come to a node before this one. */
  nominated: { pod: StoredObject; nodeName: string }[]
  namespaceLabels(name: string): Record<string, string> | undefined
}

const labelOf = ({ node }: NodeEntry, key: string): string | undefined => node?.metadata.labels?.[key]

function* podsOn(entry: NodeEntry, { without, nominated }: Surroundings): Generator<StoredObject> {
  for (const [uid, { pod }] of entry.pods) if (!without.has(uid)) yield pod
  for (const { pod, nodeName } of nominated) if (nodeName === entry.name) yield pod
}

type Matches = (pod: StoredObject) => boolean

/** Which Pods a term means, said by a Pod of `namespace`. */
function termMatcher(term: any, namespace: string | undefined, around: Surroundings): Matches {
  const matcher = term.labelSelector ? selectorMatcher(term.labelSelector) : undefined
  const named = new Set<string>(term.namespaces ?? [])
  const chosen = term.namespaceSelector ? selectorMatcher(term.namespaceSelector) : undefined
  if (!named.size && !chosen) named.add(namespace ?? '')
  return (pod) => {
    const of = pod.metadata.namespace ?? ''
    if (!matcher || !(named.has(of) || chosen?.matches(around.namespaceLabels(of)))) return false
    return matcher.matches(pod.metadata.labels)
  }
}

const required = (affinity: any): any[] => affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []
const preferred = (affinity: any): any[] => affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []

/** Values of the label on whose nodes a Pod is that `matches`, and how many. */
function domainsOf(key: string, matches: Matches, around: Surroundings): Map<string, number> {
  const found = new Map<string, number>()
  for (const entry of around.nodes) {
    const value = labelOf(entry, key)
    if (value === undefined) continue
    for (const pod of podsOn(entry, around)) if (matches(pod)) found.set(value, (found.get(value) ?? 0) + 1)
  }
  return found
}

export function affinityMisfits(pod: StoredObject, entry: NodeEntry, around: Surroundings): Misfit[] {
  const { affinity } = pod.spec
  const { namespace } = pod.metadata
  const terms = required(affinity?.podAffinity)
  if (terms.length) {
    const matchers = terms.map((term) => termMatcher(term, namespace, around))
    const all: Matches = (other) => matchers.every((matches) => matches(other))
    const domains = terms.map(({ topologyKey }) => domainsOf(topologyKey, all, around))
    const there = terms.every(({ topologyKey }, index) => domains[index]!.has(labelOf(entry, topologyKey) ?? '\0'))
    // The first of a group that wants to be together may begin it.
    const first =
      domains.every((values) => values.size === 0) &&
      all(pod) &&
      terms.every(({ topologyKey }) => labelOf(entry, topologyKey) !== undefined)
    if (!there && !first) return [{ reason: "node(s) didn't match pod affinity rules", helped: false }]
  }
  for (const term of required(affinity?.podAntiAffinity)) {
    const value = labelOf(entry, term.topologyKey)
    if (value !== undefined && domainsOf(term.topologyKey, termMatcher(term, namespace, around), around).has(value))
      return [{ reason: "node(s) didn't match pod anti-affinity rules", helped: true }]
  }
  return avoided(pod, entry, around)
    ? [{ reason: "node(s) didn't satisfy existing pods anti-affinity rules", helped: true }]
    : []
}

function avoided(pod: StoredObject, entry: NodeEntry, around: Surroundings): boolean {
  for (const [uid, { pod: other, nodeName }] of around.book.avoiding) {
    if (around.without.has(uid)) continue
    const home = around.book.at(nodeName)
    if (!home) continue
    for (const term of required(other.spec.affinity.podAntiAffinity)) {
      const value = labelOf(home, term.topologyKey)
      if (value === undefined || value !== labelOf(entry, term.topologyKey)) continue
      if (termMatcher(term, other.metadata.namespace, around)(pod)) return true
    }
  }
  return false
}

/** Nodes that count for a constraint. */
function eligible(pod: StoredObject, constraint: any, around: Surroundings): NodeEntry[] {
  const taintsCount = constraint.nodeTaintsPolicy === 'Honor'
  return around.nodes.filter((entry) => {
    const node = entry.node!
    if (labelOf(entry, constraint.topologyKey) === undefined) return false
    if (constraint.nodeAffinityPolicy !== 'Ignore' && !matchesNode(pod, node)) return false
    const bad = (taint: Taint) => taint.effect !== 'PreferNoSchedule' && !tolerates(pod.spec.tolerations, taint)
    return !taintsCount || !(node.spec?.taints ?? []).some(bad)
  })
}

function counts(pod: StoredObject, constraint: any, around: Surroundings): Map<string, number> {
  const matcher = constraint.labelSelector ? selectorMatcher(constraint.labelSelector) : undefined
  const found = new Map<string, number>()
  for (const entry of eligible(pod, constraint, around)) {
    const value = labelOf(entry, constraint.topologyKey)!
    let count = found.get(value) ?? 0
    for (const other of podsOn(entry, around)) {
      if (other.metadata.namespace !== pod.metadata.namespace || other.metadata.deletionTimestamp) continue
      if (matcher?.matches(other.metadata.labels)) count++
    }
    found.set(value, count)
  }
  return found
}

export function spreadMisfits(pod: StoredObject, entry: NodeEntry, around: Surroundings): Misfit[] {
  const constraints: any[] = pod.spec.topologySpreadConstraints ?? []
  for (const constraint of constraints) {
    if (constraint.whenUnsatisfiable !== 'DoNotSchedule') continue
    const value = labelOf(entry, constraint.topologyKey)
    if (value === undefined)
      return [
        { reason: "node(s) didn't match pod topology spread constraints (missing required label)", helped: false },
      ]
    const found = counts(pod, constraint, around)
    const few = found.size < (constraint.minDomains ?? 1)
    const least = few || found.size === 0 ? 0 : Math.min(...found.values())
    const selfMatches =
      constraint.labelSelector && selectorMatcher(constraint.labelSelector).matches(pod.metadata.labels)
    if ((found.get(value) ?? 0) + (selfMatches ? 1 : 0) - least > constraint.maxSkew)
      return [{ reason: "node(s) didn't match pod topology spread constraints", helped: true }]
  }
  return []
}

/** How much the Pods that are there speak for the node: preferences of the Pod, and its soft constraints. */
export function topologyScore(pod: StoredObject, entry: NodeEntry, around: Surroundings): number {
  let score = 0
  const { affinity } = pod.spec
  for (const [kind, sign] of [
    ['podAffinity', 1],
    ['podAntiAffinity', -1],
  ] as const)
    for (const { weight, podAffinityTerm: term } of preferred(affinity?.[kind])) {
      const value = labelOf(entry, term.topologyKey)
      if (value === undefined) continue
      const matches = termMatcher(term, pod.metadata.namespace, around)
      score += sign * weight * (domainsOf(term.topologyKey, matches, around).get(value) ?? 0)
    }
  for (const constraint of pod.spec.topologySpreadConstraints ?? []) {
    if (constraint.whenUnsatisfiable !== 'ScheduleAnyway') continue
    const value = labelOf(entry, constraint.topologyKey)
    score -= value === undefined ? 100 : (counts(pod, constraint, around).get(value) ?? 0)
  }
  return score
}
