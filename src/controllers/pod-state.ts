// What controllers need to know of a Pod at a glance. Facts of upstream's podutil and controller_utils.go (1.32). Pure.

import type { StoredObject } from '../api/meta.ts'
import { findCondition } from './conditions.ts'
import { moment } from './moment.ts'

export const isFinished = (pod: StoredObject): boolean =>
  pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'

/** Neither finished nor being deleted. */
export const isActive = (pod: StoredObject): boolean => !isFinished(pod) && !pod.metadata.deletionTimestamp

export const isReady = (pod: StoredObject): boolean => findCondition(pod.status?.conditions, 'Ready')?.status === 'True'

/** Since when the Pod has been ready; NaN when it is not. */
export function readySince(pod: StoredObject): number {
  const ready = findCondition(pod.status?.conditions, 'Ready')
  return ready?.status === 'True' ? moment(ready.lastTransitionTime) : Number.NaN
}

/** Ready for at least minReadySeconds. */
export const isAvailable = (pod: StoredObject, minReadySeconds: number, now: number): boolean =>
  isReady(pod) && (minReadySeconds === 0 || readySince(pod) + minReadySeconds * 1000 <= now)

export function restarts(pod: StoredObject): number {
  let most = 0
  for (const container of pod.status?.containerStatuses ?? []) most = Math.max(most, container.restartCount ?? 0)
  return most
}

const phaseRank: Record<string, number> = { Pending: 0, Unknown: 1, Running: 2 }

function deletionCost(pod: StoredObject): number {
  const cost = Number(pod.metadata.annotations?.['controller.kubernetes.io/pod-deletion-cost'] ?? 0)
  return Number.isInteger(cost) ? cost : 0
}

/** Newer first; a missing time counts as newest. */
const newerFirst = (a: number, b: number): number =>
  Number.isNaN(a) || Number.isNaN(b) ? Number(Number.isNaN(b)) - Number(Number.isNaN(a)) : b - a

/** Order in which surplus Pods of a ReplicaSet are deleted (ActivePodsWithRanks, 1.32; one node, so no rank by node). */
export function deletionOrder(a: StoredObject, b: StoredObject): number {
  return (
    Number(Boolean(a.spec.nodeName)) - Number(Boolean(b.spec.nodeName)) ||
    (phaseRank[a.status?.phase] ?? 0) - (phaseRank[b.status?.phase] ?? 0) ||
    Number(isReady(a)) - Number(isReady(b)) ||
    deletionCost(a) - deletionCost(b) ||
    (isReady(a) ? newerFirst(readySince(a), readySince(b)) : 0) ||
    restarts(b) - restarts(a) ||
    newerFirst(moment(a.metadata.creationTimestamp), moment(b.metadata.creationTimestamp))
  )
}
