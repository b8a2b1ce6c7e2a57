// What a Job makes of its Pods one by one: which ended, when, whether that counts, and the index each works on. Pure;
// pkg/controller/job (1.36).

import type { StoredObject } from '../api/meta.ts'
import { findCondition } from './conditions.ts'
import { indexOf } from './job-indexes.ts'
import { moment } from './moment.ts'

export const trackingFinalizer = 'batch.kubernetes.io/job-tracking'
export const failureCountAnnotation = 'batch.kubernetes.io/job-index-failure-count'
export const ignoredCountAnnotation = 'batch.kubernetes.io/job-index-ignored-failure-count'

const firstBackoffMs = 10_000
const longestBackoffMs = 600_000

export const isTracked = (pod: StoredObject): boolean => pod.metadata.finalizers?.includes(trackingFinalizer) ?? false
export const isIndexed = (job: StoredObject): boolean => job.spec.completionMode === 'Indexed'
export const hasLimitPerIndex = (job: StoredObject): boolean =>
  isIndexed(job) && typeof job.spec.backoffLimitPerIndex === 'number'

export const replacesFailedOnly = (job: StoredObject): boolean =>
  job.spec.podReplacementPolicy === 'Failed' || job.spec.podFailurePolicy !== undefined

/** A Pod that is being deleted counts as failed at once, unless the Job waits for its end. */
export function hasFailed(job: StoredObject, pod: StoredObject): boolean {
  const { phase } = pod.status ?? {}
  if (phase === 'Failed') return true
  if (!pod.metadata.deletionTimestamp || phase === 'Succeeded') return false
  // A Pod without a node has nobody who would ever say that it failed.
  return !replacesFailedOnly(job) || !pod.spec?.nodeName
}

/** Of an indexed Job only Pods with an index that it has count. */
export function isValid(job: StoredObject, pod: StoredObject): boolean {
  if (!isIndexed(job)) return true
  const index = indexOf(pod)
  return index >= 0 && index < job.spec.completions
}

/** When the Pod ended, as well as it is known. */
export function endOf(pod: StoredObject): number {
  const sidecars = new Set(
    (pod.spec?.initContainers ?? [])
      .filter((each: any) => each.restartPolicy === 'Always')
      .map((each: any) => each.name),
  )
  const statuses = [
    ...(pod.status?.containerStatuses ?? []),
    ...(pod.status?.initContainerStatuses ?? []).filter((each: any) => sidecars.has(each.name)),
  ]
  const ends: number[] = statuses.map((each: any) => moment(each.state?.terminated?.finishedAt))
  if (ends.length && !ends.some(Number.isNaN)) return Math.max(...ends)
  const ready = findCondition(pod.status?.conditions, 'Ready')
  if (ready?.status === 'False' && ready.lastTransitionTime) return moment(ready.lastTransitionTime)
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, creationTimestamp } = pod.metadata
  if (deletionTimestamp) return moment(deletionTimestamp) - deletionGracePeriodSeconds * 1000
  return moment(creationTimestamp)
}

const waitAfter = (failures: number, lastEnd: number, now: number): number =>
  failures === 0 ? 0 : Math.max(lastEnd + Math.min(firstBackoffMs * 2 ** (failures - 1), longestBackoffMs) - now, 0)

/** How long to wait before the next Pod: 10 s doubled with each failure since the last success. */
export function backoffLeft(failed: StoredObject[], succeeded: StoredObject[], now: number): number {
  const lastSuccess = Math.max(Number.NEGATIVE_INFINITY, ...succeeded.map(endOf))
  const ends = failed.map(endOf).filter((end) => end > lastSuccess)
  return waitAfter(ends.length, Math.max(...ends), now)
}

function countIn(pod: StoredObject, annotation: string): number {
  const count = Number(pod.metadata.annotations?.[annotation] ?? 0)
  return Number.isInteger(count) && count >= 0 && count <= 2147483647 ? count : 0
}

/** How often the Pod's index had failed before it. */
export const failureCount = (pod: StoredObject): number => countIn(pod, failureCountAnnotation)
const ignoredCount = (pod: StoredObject): number => countIn(pod, ignoredCountAnnotation)

/** The same, counted anew for the Pod that replaces a failed one. */
export function nextCounts(before: StoredObject | undefined, counts: boolean): { failed: number; ignored: number } {
  if (!before) return { failed: 0, ignored: 0 }
  return { failed: failureCount(before) + (counts ? 1 : 0), ignored: ignoredCount(before) + (counts ? 0 : 1) }
}

/** How long the index of a failed Pod waits for its next one. */
export const backoffOfIndex = (failed: StoredObject | undefined, now: number): number =>
  failed ? waitAfter(failureCount(failed) + ignoredCount(failed) + 1, endOf(failed), now) : 0

/** The last failed Pod of each index that has no other one: it stays until its successor knows the count. */
export function lastFailures(failed: StoredObject[], isSettled: (index: number) => boolean): Map<number, StoredObject> {
  const last = new Map<number, StoredObject>()
  for (const pod of failed) {
    const index = indexOf(pod)
    if (isSettled(index)) continue
    const other = last.get(index)
    const total = (each: StoredObject) => failureCount(each) + ignoredCount(each)
    if (!other || (total(other) <= total(pod) && endOf(other) <= endOf(pod))) last.set(index, pod)
  }
  return last
}
