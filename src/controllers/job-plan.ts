// What a Job does next, and its status. Pure; pkg/controller/job (1.32): counts that survive the Pods by way of the
// tracking finalizer and uncountedTerminatedPods, back-off, deadline, suspension, Indexed completion.

import type { StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { type Condition, isTrue, withCondition } from './conditions.ts'
import { formatIndexes, indexOf, nextIndexes, parseIndexes } from './job-indexes.ts'
import { moment } from './moment.ts'
import { burstReplicas } from './pod-control.ts'
import { deletionOrder, isReady } from './pod-state.ts'

export const trackingFinalizer = 'batch.kubernetes.io/job-tracking'
const firstBackoffMs = 10_000
const longestBackoffMs = 600_000

export interface JobEvent {
  type: 'Normal' | 'Warning'
  reason: string
  message: string
}

export interface JobPlan {
  /** Status with Pods that ended noted but not counted yet. */
  status: Record<string, any>
  /** How many Pods to create, or for which indexes. */
  create: number | number[]
  delete: StoredObject[]
  events: JobEvent[]
  requeueAfter?: number
}

export const isTracked = (pod: StoredObject): boolean => pod.metadata.finalizers?.includes(trackingFinalizer) ?? false
export const isIndexed = (job: StoredObject): boolean => job.spec.completionMode === 'Indexed'
export const isJobFinished = (job: StoredObject): boolean =>
  isTrue(job.status?.conditions, 'Complete') || isTrue(job.status?.conditions, 'Failed')

const replacesFailedOnly = (job: StoredObject): boolean => job.spec.podReplacementPolicy === 'Failed'

/** A Pod that is being deleted counts as failed at once, unless the Job waits for its end. */
function hasFailed(job: StoredObject, pod: StoredObject): boolean {
  const { phase } = pod.status ?? {}
  if (phase === 'Failed') return true
  // What a suspension takes away is no failure.
  if (!pod.metadata.deletionTimestamp || job.spec.suspend) return false
  return replacesFailedOnly(job) ? phase === 'Pending' || !phase : phase !== 'Succeeded'
}

interface Facts {
  active: StoredObject[]
  terminating: number
  /** Pods with our finalizer that have ended and are not in the status yet. */
  succeeded: StoredObject[]
  failed: StoredObject[]
  /** Every failed Pod that is still there, counted or not. */
  allFailed: StoredObject[]
  lastSuccess: number
}

function observe(job: StoredObject, pods: StoredObject[]): Facts {
  const uncounted = job.status?.uncountedTerminatedPods ?? {}
  const noted = new Set<string>([...(uncounted.succeeded ?? []), ...(uncounted.failed ?? [])])
  const isNew = (pod: StoredObject) => isTracked(pod) && !noted.has(pod.metadata.uid)
  const ended = pods.filter((pod) => pod.status?.phase === 'Succeeded')
  const allFailed = pods.filter((pod) => hasFailed(job, pod))
  const open = pods.filter((pod) => pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed')
  return {
    active: open.filter((pod) => !pod.metadata.deletionTimestamp),
    terminating: open.filter((pod) => pod.metadata.deletionTimestamp).length,
    succeeded: ended.filter(isNew),
    failed: allFailed.filter(isNew),
    allFailed,
    lastSuccess: Math.max(Number.NEGATIVE_INFINITY, ...ended.map(endOf)),
  }
}

/** When the last container of a Pod ended. */
function endOf(pod: StoredObject): number {
  const ends = (pod.status?.containerStatuses ?? []).map((each: any) => moment(each.state?.terminated?.finishedAt))
  const known = ends.filter((end: number) => !Number.isNaN(end))
  return known.length ? Math.max(...known) : moment(pod.metadata.deletionTimestamp ?? pod.metadata.creationTimestamp)
}

/** How long to wait before the next Pod: 10 s doubled with each failure since the last success. */
function backoffLeft({ allFailed, lastSuccess }: Facts, now: number): number {
  const ends = allFailed.map(endOf).filter((end) => end > lastSuccess)
  if (!ends.length) return 0
  const delay = Math.min(firstBackoffMs * 2 ** (ends.length - 1), longestBackoffMs)
  return Math.max(Math.max(...ends) + delay - now, 0)
}

function failureOf(
  job: StoredObject,
  facts: Facts,
  failed: number,
  now: number,
): Pick<Condition, 'reason' | 'message'> | undefined {
  const { backoffLimit = 6, activeDeadlineSeconds, template } = job.spec
  const restarts = facts.active
    .flatMap((pod) => [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])])
    .reduce((sum, each) => sum + (each.restartCount ?? 0), 0)
  const isPastRestarts =
    template.spec.restartPolicy === 'OnFailure' && (backoffLimit === 0 ? restarts > 0 : restarts >= backoffLimit)
  if (failed > backoffLimit || isPastRestarts)
    return { reason: 'BackoffLimitExceeded', message: 'Job has reached the specified backoff limit' }
  const start = moment(job.status?.startTime)
  if (activeDeadlineSeconds !== undefined && !job.spec.suspend && now - start >= activeDeadlineSeconds * 1000)
    return { reason: 'DeadlineExceeded', message: 'Job was active longer than specified deadline' }
  return undefined
}

export function planJob(job: StoredObject, pods: StoredObject[], now: number): JobPlan {
  const time = formatTime(now)
  const facts = observe(job, pods)
  const status = noteEnds(job, facts)
  const plan: JobPlan = { status, create: 0, delete: [], events: [] }
  const succeeded = isIndexed(job)
    ? parseIndexes(status.completedIndexes).size
    : (status.succeeded ?? 0) + status.uncountedTerminatedPods.succeeded.length
  const failed = (status.failed ?? 0) + status.uncountedTerminatedPods.failed.length
  const set = (type: string, value: 'True' | 'False', reason: string, message: string) => {
    status.conditions = withCondition(
      status.conditions,
      { type, status: value, reason, message, lastProbeTime: time },
      time,
    )
  }
  const isEnding = isTrue(status.conditions, 'FailureTarget') || isTrue(status.conditions, 'SuccessCriteriaMet')
  const failure = isEnding ? undefined : failureOf(job, facts, failed, now)
  const { completions, parallelism = 1 } = job.spec
  if (failure) set('FailureTarget', 'True', failure.reason!, failure.message!)
  if (failure || isTrue(status.conditions, 'FailureTarget')) plan.delete = facts.active
  else if (completions == null ? succeeded > 0 && !facts.active.length : succeeded >= completions) {
    set('SuccessCriteriaMet', 'True', 'CompletionsReached', 'Reached expected number of succeeded pods')
    plan.delete = facts.active
  } else if (job.spec.suspend) suspend(plan, facts, set)
  else {
    resume(plan, job, set, time)
    const wanted =
      completions == null
        ? succeeded > 0
          ? facts.active.length
          : parallelism
        : Math.min(parallelism, completions - succeeded)
    fit(plan, job, facts, wanted, now)
  }
  status.active = facts.active.length - plan.delete.length
  status.ready = facts.active.filter((pod) => !plan.delete.includes(pod) && isReady(pod)).length
  status.terminating = facts.terminating + plan.delete.length
  const deadline = moment(status.startTime) + (job.spec.activeDeadlineSeconds ?? Number.NaN) * 1000 - now
  if (deadline > 0) plan.requeueAfter = Math.min(plan.requeueAfter ?? deadline, deadline)
  return plan
}

/** Pods that have ended go into the status before their finalizer is removed: no end is counted twice or lost. */
function noteEnds(job: StoredObject, facts: Facts): Record<string, any> {
  const uncounted = job.status?.uncountedTerminatedPods ?? {}
  const uids = (pods: StoredObject[]) => pods.map((pod) => pod.metadata.uid)
  const status: Record<string, any> = {
    ...job.status,
    uncountedTerminatedPods: {
      succeeded: [...(uncounted.succeeded ?? []), ...(isIndexed(job) ? [] : uids(facts.succeeded))],
      failed: [...(uncounted.failed ?? []), ...uids(facts.failed)],
    },
  }
  if (isIndexed(job)) {
    const done = parseIndexes(job.status?.completedIndexes)
    for (const pod of facts.succeeded) {
      const index = indexOf(pod)
      if (index >= 0 && index < job.spec.completions) done.add(index)
    }
    status.completedIndexes = formatIndexes(done)
    status.succeeded = done.size
  }
  return status
}

type SetCondition = (type: string, status: 'True' | 'False', reason: string, message: string) => void

function suspend(plan: JobPlan, facts: Facts, set: SetCondition): void {
  plan.delete = facts.active
  if (isTrue(plan.status.conditions, 'Suspended')) return
  set('Suspended', 'True', 'JobSuspended', 'Job suspended')
  plan.events.push({ type: 'Normal', reason: 'Suspended', message: 'Job suspended' })
  delete plan.status.startTime
}

function resume(plan: JobPlan, job: StoredObject, set: SetCondition, time: string): void {
  if (isTrue(job.status?.conditions, 'Suspended')) {
    set('Suspended', 'False', 'JobResumed', 'Job resumed')
    plan.events.push({ type: 'Normal', reason: 'Resumed', message: 'Job resumed' })
  }
  plan.status.startTime ??= time
}

/** As many active Pods as wanted, no more, no less, with back-off after failures. */
function fit(plan: JobPlan, job: StoredObject, facts: Facts, wanted: number, now: number): void {
  const { active } = facts
  const taken = parseIndexes(plan.status.completedIndexes)
  // Of an index that is done, or has two Pods, the surplus goes first.
  const surplus = isIndexed(job)
    ? active
        .toSorted((a, b) => indexOf(a) - indexOf(b))
        .filter((pod) => taken.has(indexOf(pod)) || !taken.add(indexOf(pod)))
    : []
  const rest = active.filter((pod) => !surplus.includes(pod))
  const tooMany = Math.max(rest.length - wanted, 0)
  plan.delete = [...surplus, ...rest.toSorted(deletionOrder).slice(0, tooMany)]
  const missing = wanted - rest.length - (replacesFailedOnly(job) ? facts.terminating : 0)
  if (missing <= 0) return
  const wait = backoffLeft(facts, now)
  if (wait > 0) {
    plan.requeueAfter = wait
    return
  }
  const count = Math.min(missing, burstReplicas)
  plan.create = isIndexed(job) ? nextIndexes(job.spec.completions, taken, count) : count
}

/** Counts the noted Pods, whose finalizers are gone now, and ends the Job when nothing is left to wait for. */
export function settleJob(status: Record<string, any>, now: number): { status: Record<string, any>; event?: JobEvent } {
  const uncounted = status.uncountedTerminatedPods ?? {}
  const settled: Record<string, any> = {
    ...status,
    uncountedTerminatedPods: {},
    succeeded: (status.succeeded ?? 0) + (uncounted.succeeded?.length ?? 0),
    failed: (status.failed ?? 0) + (uncounted.failed?.length ?? 0),
  }
  const isQuiet = !settled.active && !settled.terminating
  const time = formatTime(now)
  const end = (type: string, source: string) => {
    const { reason, message } = settled.conditions.find((each: Condition) => each.type === source)
    settled.conditions = withCondition(
      settled.conditions,
      { type, status: 'True', reason, message, lastProbeTime: time },
      time,
    )
    return { reason, message }
  }
  if (isQuiet && isTrue(settled.conditions, 'FailureTarget')) {
    const cause = end('Failed', 'FailureTarget')
    return { status: settled, event: { type: 'Warning', ...cause } }
  }
  if (isQuiet && isTrue(settled.conditions, 'SuccessCriteriaMet')) {
    end('Complete', 'SuccessCriteriaMet')
    settled.completionTime = time
    return { status: settled, event: { type: 'Normal', reason: 'Completed', message: 'Job completed' } }
  }
  return { status: settled }
}
