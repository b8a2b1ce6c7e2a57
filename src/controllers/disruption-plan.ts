// How many Pods of a PodDisruptionBudget may go. Pure; pkg/controller/disruption (1.36).

import type { StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { type Condition, withCondition } from './conditions.ts'
import { resolve } from './deployment-plan.ts'
import { moment } from './moment.ts'
import { isReady } from './pod-state.ts'

/** An eviction that has not led to a deletion by then is forgotten. */
export const evictionTimeoutMs = 120_000

/** The budget counts against what its Pods' owners want, not against the Pods that are there. */
export const needsScale = ({ spec }: StoredObject): boolean =>
  spec?.maxUnavailable !== undefined || typeof spec?.minAvailable === 'string'

/** `scale`: how many Pods the owners want together. */
export function expected(
  budget: StoredObject,
  podCount: number,
  scale: number,
): { expectedPods: number; desiredHealthy: number } {
  const { minAvailable, maxUnavailable } = budget.spec ?? {}
  if (maxUnavailable !== undefined)
    return { expectedPods: scale, desiredHealthy: Math.max(scale - resolve(maxUnavailable, scale, true), 0) }
  if (typeof minAvailable === 'string')
    return { expectedPods: scale, desiredHealthy: resolve(minAvailable, scale, true) }
  return { expectedPods: podCount, desiredHealthy: minAvailable ?? 0 }
}

export interface Disrupted {
  /** Evictions under way. */
  pods: Record<string, string>
  /** Pods that were to go and did not. */
  overdue: StoredObject[]
  recheckAt: number | undefined
}

export function disrupted(budget: StoredObject, pods: StoredObject[], now: number): Disrupted {
  const found: Disrupted = { pods: {}, overdue: [], recheckAt: undefined }
  const noted: Record<string, string> = budget.status?.disruptedPods ?? {}
  for (const pod of pods) {
    const time = noted[pod.metadata.name]
    if (!time || pod.metadata.deletionTimestamp) continue
    const end = moment(time) + evictionTimeoutMs
    if (end < now) {
      found.overdue.push(pod)
      continue
    }
    found.pods[pod.metadata.name] = time
    found.recheckAt = Math.min(found.recheckAt ?? end, end)
  }
  return found
}

export const healthyCount = (pods: StoredObject[], going: Record<string, string>): number =>
  pods.filter((pod) => !pod.metadata.deletionTimestamp && !going[pod.metadata.name] && isReady(pod)).length

interface Counts {
  currentHealthy: number
  desiredHealthy: number
  expectedPods: number
  disruptedPods: Record<string, string>
}

export function budgetStatus(budget: StoredObject, counts: Counts, now: number): Record<string, any> {
  const { currentHealthy, desiredHealthy, expectedPods } = counts
  const allowed = expectedPods <= 0 ? 0 : Math.max(currentHealthy - desiredHealthy, 0)
  const { generation } = budget.metadata
  const condition = { ...allowedCondition(allowed), observedGeneration: generation }
  return {
    ...budget.status,
    ...counts,
    disruptionsAllowed: allowed,
    observedGeneration: generation,
    conditions: withCondition(budget.status?.conditions, condition, formatTime(now)),
  }
}

export const allowedCondition = (allowed: number): Condition =>
  allowed > 0
    ? { type: 'DisruptionAllowed', status: 'True', reason: 'SufficientPods', message: '' }
    : { type: 'DisruptionAllowed', status: 'False', reason: 'InsufficientPods', message: '' }

/** Nothing may go while it is not known what there is. */
export function failedStatus(budget: StoredObject, message: string, now: number): Record<string, any> {
  const { observedGeneration = 0 } = budget.status ?? {}
  const condition: Condition = {
    ...{ type: 'DisruptionAllowed', status: 'False', reason: 'SyncFailed', message },
    observedGeneration,
  }
  return {
    ...budget.status,
    disruptionsAllowed: 0,
    conditions: withCondition(budget.status?.conditions, condition, formatTime(now)),
  }
}
