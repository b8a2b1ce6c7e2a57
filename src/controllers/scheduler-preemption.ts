// Who must leave so that a more important Pod can come. Pure; the rules of pkg/scheduler/framework/preemption (1.36): as
// few as possible, the least important, and none that a disruption budget protects if there is another way.

import type { StoredObject } from '../api/meta.ts'
import { selectorMatcher } from '../api/selector.ts'
import { moment } from './moment.ts'
import { type NodeEntry, priorityOf } from './scheduler-book.ts'
import { whyNot } from './scheduler-choice.ts'
import type { Surroundings } from './scheduler-topology.ts'

export interface Victims {
  entry: NodeEntry
  pods: StoredObject[]
  /** Victims whose budget is broken. */
  violations: number
}

const startOf = (pod: StoredObject): number => moment(pod.status?.startTime ?? pod.metadata.creationTimestamp)

/** More important first; of equals the one that has run longer. */
const byImportance = (a: StoredObject, b: StoredObject): number =>
  priorityOf(b) - priorityOf(a) || startOf(a) - startOf(b)

/** Splits off those that a budget has no room for. */
function splitByBudget(
  pods: StoredObject[],
  budgets: StoredObject[],
): { broken: StoredObject[]; free: StoredObject[] } {
  const left = new Map(budgets.map((budget) => [budget, budget.status?.disruptionsAllowed ?? 0]))
  const broken: StoredObject[] = []
  const free: StoredObject[] = []
  for (const pod of pods) {
    let breaks = false
    for (const [budget, allowed] of left) {
      if (budget.metadata.namespace !== pod.metadata.namespace) continue
      if (!budget.spec?.selector || !selectorMatcher(budget.spec.selector).matches(pod.metadata.labels)) continue
      if (budget.status?.disruptedPods?.[pod.metadata.name]) continue
      left.set(budget, allowed - 1)
      if (allowed <= 0) breaks = true
    }
    ;(breaks ? broken : free).push(pod)
  }
  return { broken, free }
}

/** The fewest that must leave this node; undefined when not even all less important ones would make room. */
export function victimsOn(
  pod: StoredObject,
  entry: NodeEntry,
  around: Surroundings,
  budgets: StoredObject[],
): Victims | undefined {
  const lower = [...entry.pods.values()]
    .map((one) => one.pod)
    .filter((other) => priorityOf(other) < priorityOf(pod))
    .sort(byImportance)
  if (lower.length === 0) return undefined
  const gone = new Set(lower.map(({ metadata }) => metadata.uid))
  const fits = () => whyNot(pod, entry, { ...around, without: gone }).length === 0
  if (!fits()) return undefined
  const { broken, free } = splitByBudget(lower, budgets)
  const victims: StoredObject[] = []
  let violations = 0
  for (const [index, candidate] of [...broken, ...free].entries()) {
    gone.delete(candidate.metadata.uid)
    if (fits()) continue
    gone.add(candidate.metadata.uid)
    victims.push(candidate)
    if (index < broken.length) violations++
  }
  return victims.length ? { entry, pods: victims.sort(byImportance), violations } : undefined
}

const comparisons: ((victims: Victims) => number)[] = [
  ({ violations }) => violations,
  ({ pods }) => priorityOf(pods[0]!),
  ({ pods }) => pods.reduce((sum, pod) => sum + priorityOf(pod) + 2 ** 31, 0),
  ({ pods }) => pods.length,
  // The one whose most important victim has run the shortest time.
  ({ pods }) => -Math.min(...pods.filter((pod) => priorityOf(pod) === priorityOf(pods[0]!)).map(startOf)),
]

export function bestVictims(candidates: Victims[]): Victims | undefined {
  return candidates.toSorted((a, b) => {
    for (const value of comparisons) {
      const difference = value(a) - value(b)
      if (difference) return difference
    }
    return 0
  })[0]
}
