// What a Job does next, and its status. Pure; pkg/controller/job (1.36): counts that survive the Pods by way of the
// tracking finalizer and uncountedTerminatedPods, back-off, deadline, suspension, indexes, failure and success policies.

import type { StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { type Condition, findCondition, isTrue } from './conditions.ts'
import { formatIndexes, indexOf, nextIndexes, parseIndexes } from './job-indexes.ts'
import {
  backoffLeft,
  backoffOfIndex,
  failureCount,
  hasFailed,
  hasLimitPerIndex,
  isIndexed,
  isTracked,
  isValid,
  lastFailures,
  nextCounts,
  replacesFailedOnly,
} from './job-pods.ts'
import { failureVerdict, successMessage } from './job-policy.ts'
import { moment } from './moment.ts'
import { burstReplicas } from './pod-control.ts'
import { deletionOrder, isActive, isFinished } from './pod-state.ts'

/** So many ends are noted at once: the status stays small. */
const mostUncounted = 500

export interface JobEvent {
  type: 'Normal' | 'Warning'
  reason: string
  message: string
}

/** A Pod to make; `failed` and `ignored`: what its index has seen before. */
export interface JobPod {
  index?: number
  failed?: number
  ignored?: number
}

export interface JobPlan {
  /** Status with Pods that ended noted but not counted yet. */
  status: Record<string, any>
  create: JobPod[]
  /** Too many, or suspended: they go without counting as failures. */
  remove: StoredObject[]
  /** The Job is over: what still runs ends. */
  end: StoredObject[]
  /** Pods that the status accounts for: their finalizer may go once it is written. */
  settled: StoredObject[]
  events: JobEvent[]
  requeueAfter?: number
}

export const isJobFinished = (job: StoredObject): boolean =>
  isTrue(job.status?.conditions, 'Complete') || isTrue(job.status?.conditions, 'Failed')

interface Facts {
  job: StoredObject
  pods: StoredObject[]
  now: number
  active: StoredObject[]
  terminating: StoredObject[]
  /** Pods with our finalizer that have ended and are not in the status yet. */
  newSucceeded: StoredObject[]
  newFailed: StoredObject[]
  succeeded: number
  failed: number
  doneBefore: Set<number>
  done: Set<number>
  failedIndexes: Set<number>
  /** Failed Pods that wait for their successor, by index. */
  delayed: Map<number, StoredObject>
}

function observe(job: StoredObject, pods: StoredObject[], now: number): Facts {
  const { status = {}, spec } = job
  const { succeeded: notedSucceeded = [], failed: notedFailed = [] } = status.uncountedTerminatedPods ?? {}
  const noted = new Set<string>([...notedSucceeded, ...notedFailed])
  const fresh = pods.filter((pod) => isTracked(pod) && !noted.has(pod.metadata.uid) && isValid(job, pod))
  const newSucceeded = fresh.filter((pod) => pod.status?.phase === 'Succeeded')
  const newFailed = fresh.filter((pod) => hasFailed(job, pod))
  const facts: Facts = {
    job,
    pods,
    now,
    active: pods.filter(isActive),
    terminating: pods.filter((pod) => pod.metadata.deletionTimestamp && !isFinished(pod)),
    newSucceeded,
    newFailed,
    succeeded: (status.succeeded ?? 0) + newSucceeded.length + notedSucceeded.length,
    failed:
      (status.failed ?? 0) + newFailed.filter((pod) => failureVerdict(job, pod).counts).length + notedFailed.length,
    doneBefore: new Set(),
    done: new Set(),
    failedIndexes: new Set(),
    delayed: new Map(),
  }
  if (!isIndexed(job)) return facts
  facts.doneBefore = parseIndexes(status.completedIndexes, spec.completions)
  facts.done = new Set([...facts.doneBefore, ...newSucceeded.map(indexOf)])
  facts.succeeded = facts.done.size
  if (hasLimitPerIndex(job)) observeIndexes(facts)
  return facts
}

function observeIndexes(facts: Facts): void {
  const { job, pods, done, active } = facts
  const { failedIndexes } = facts
  const { backoffLimitPerIndex, completions } = job.spec
  for (const index of parseIndexes(job.status?.failedIndexes, completions)) failedIndexes.add(index)
  const failed = pods.filter((pod) => isTracked(pod) && isValid(job, pod) && hasFailed(job, pod))
  for (const pod of failed) {
    const { counts, action } = failureVerdict(job, pod)
    if (action === 'FailIndex' || (counts && failureCount(pod) >= backoffLimitPerIndex)) failedIndexes.add(indexOf(pod))
  }
  const running = new Set(active.map(indexOf))
  facts.delayed = lastFailures(failed, (index) => done.has(index) || failedIndexes.has(index) || running.has(index))
}

type Ending = { type: 'FailureTarget' | 'SuccessCriteriaMet'; reason: string; message: string }

const failure = (reason: string, message: string): Ending => ({ type: 'FailureTarget', reason, message })

/** Why the Job is over, if it is; what the status said before stays. */
function endingOf(facts: Facts): Ending | undefined {
  const { job, pods, done, failedIndexes } = facts
  for (const type of ['SuccessCriteriaMet', 'FailureTarget'] as const) {
    const known = findCondition(job.status?.conditions, type)
    if (known?.status === 'True') return { type, reason: known.reason ?? '', message: known.message ?? '' }
  }
  for (const pod of pods) {
    const { message } = hasFailed(job, pod) ? failureVerdict(job, pod) : {}
    if (message) return failure('PodFailurePolicy', message)
  }
  if (facts.failed > (job.spec.backoffLimit ?? 6) || isPastRestarts(facts))
    return failure('BackoffLimitExceeded', 'Job has reached the specified backoff limit')
  if (deadlineLeft(facts) <= 0) return failure('DeadlineExceeded', 'Job was active longer than specified deadline')
  if (hasLimitPerIndex(job)) {
    const { maxFailedIndexes, completions } = job.spec
    if (failedIndexes.size > (maxFailedIndexes ?? Number.POSITIVE_INFINITY))
      return failure('MaxFailedIndexesExceeded', 'Job has exceeded the specified maximal number of failed indexes')
    if (failedIndexes.size > 0 && failedIndexes.size + done.size >= completions)
      return failure('FailedIndexes', 'Job has failed indexes')
  }
  const message = isIndexed(job) ? successMessage(job, done) : undefined
  return message === undefined ? undefined : { type: 'SuccessCriteriaMet', reason: 'SuccessPolicy', message }
}

function isPastRestarts({ job, pods }: Facts): boolean {
  const { backoffLimit = 6, template } = job.spec
  if (template.spec.restartPolicy !== 'OnFailure') return false
  const restarts = pods
    .filter((pod) => pod.status?.phase === 'Running' || pod.status?.phase === 'Pending')
    .flatMap((pod) => [...(pod.status.containerStatuses ?? []), ...(pod.status.initContainerStatuses ?? [])])
    .reduce((sum, each) => sum + (each.restartCount ?? 0), 0)
  return backoffLimit === 0 ? restarts > 0 : restarts >= backoffLimit
}

/** NaN without a deadline, which every comparison takes for later. */
function deadlineLeft({ job, now }: Facts): number {
  const { activeDeadlineSeconds, suspend } = job.spec
  if (typeof activeDeadlineSeconds !== 'number' || suspend) return Number.NaN
  return moment(job.status?.startTime) + activeDeadlineSeconds * 1000 - now
}

export function planJob(job: StoredObject, pods: StoredObject[], now: number): JobPlan {
  const facts = observe(job, pods, now)
  const status: Record<string, any> = { ...job.status }
  const plan: JobPlan = { status, create: [], remove: [], end: [], settled: [], events: [] }
  if (!status.startTime && !job.spec.suspend) status.startTime = formatTime(now)
  let ending = endingOf(facts)
  if (ending) plan.end = facts.active
  else {
    manage(plan, facts)
    ending = completion(plan, facts)
    if (!ending) suspension(plan, facts)
  }
  if (ending) setCondition(status, { ...ending, status: 'True' }, now)
  account(plan, facts, ending)
  const left = deadlineLeft({ ...facts, job: { ...job, status } as StoredObject })
  if (left > 0) plan.requeueAfter = Math.min(plan.requeueAfter ?? left, left)
  return plan
}

function setCondition(
  status: Record<string, any>,
  condition: Pick<Condition, 'type' | 'status' | 'reason' | 'message'>,
  now: number,
): void {
  const conditions: Condition[] = status.conditions ?? []
  const old = findCondition(conditions, condition.type)
  const isSame = (field: 'status' | 'reason' | 'message') => old?.[field] === condition[field]
  if (old && isSame('status') && isSame('reason') && isSame('message')) return
  const time = formatTime(now)
  const set = { ...condition, lastProbeTime: time, lastTransitionTime: time }
  status.conditions = old ? conditions.map((each) => (each === old ? set : each)) : [...conditions, set]
}

/** As many active Pods as wanted, no more, no less; either some go or some come, never both at once. */
function manage(plan: JobPlan, facts: Facts): void {
  const { job, active, succeeded } = facts
  const { completions, parallelism = 1, suspend } = job.spec
  if (suspend) {
    plan.remove = active
    return
  }
  const left = completions == null ? parallelism : Math.max(completions - succeeded, 0)
  const wanted = completions == null && succeeded > 0 ? active.length : Math.min(left, parallelism)
  plan.remove = surplus(facts, Math.max(active.length - wanted, 0)).slice(0, burstReplicas)
  if (plan.remove.length) return
  const leaving = replacesFailedOnly(job) ? facts.terminating.length : 0
  const missing = Math.min(wanted - active.length - leaving, burstReplicas)
  if (missing > 0) replenish(plan, facts, missing)
}

/** Of an index that is out of range or has two Pods, the surplus goes first. */
function surplus({ job, active }: Facts, atLeast: number): StoredObject[] {
  const wrong: StoredObject[] = []
  if (isIndexed(job)) {
    const kept = new Map<number, StoredObject>()
    for (const pod of active.toSorted(deletionOrder).reverse()) {
      if (!isValid(job, pod) || kept.has(indexOf(pod))) wrong.push(pod)
      else kept.set(indexOf(pod), pod)
    }
  }
  const rest = active.filter((pod) => !wrong.includes(pod)).sort(deletionOrder)
  return [...wrong, ...rest.slice(0, Math.max(atLeast - wrong.length, 0))]
}

function replenish(plan: JobPlan, facts: Facts, missing: number): void {
  const { job, pods, now, active, delayed } = facts
  if (!hasLimitPerIndex(job)) {
    const failed = pods.filter((pod) => hasFailed(job, pod))
    const wait = backoffLeft(
      failed,
      pods.filter((pod) => pod.status?.phase === 'Succeeded'),
      now,
    )
    if (wait > 0) {
      plan.requeueAfter = wait
      return
    }
  }
  if (!isIndexed(job)) {
    plan.create = Array.from({ length: missing }, () => ({}))
    return
  }
  const held = replacesFailedOnly(job) ? facts.terminating : []
  const taken = new Set([...facts.done, ...facts.failedIndexes, ...[...active, ...held].map(indexOf)])
  const indexes = nextIndexes(job.spec.completions, taken, missing)
  const waits = indexes.map((index) => backoffOfIndex(delayed.get(index), now))
  plan.create = indexes.filter((_, at) => waits[at] === 0).map((index) => indexPod(facts, index))
  const later = waits.filter((wait) => wait > 0)
  if (later.length) plan.requeueAfter = Math.min(...later)
}

function indexPod({ job, delayed }: Facts, index: number): JobPod {
  if (!hasLimitPerIndex(job)) return { index }
  const before = delayed.get(index)
  return { index, ...nextCounts(before, before === undefined || failureVerdict(job, before).counts) }
}

/** Enough has succeeded, and nothing runs any more. */
function completion(plan: JobPlan, { job, active, succeeded }: Facts): Ending | undefined {
  const { completions } = job.spec
  const running = active.length - plan.remove.length + plan.create.length
  const isDone = completions == null ? succeeded > 0 : succeeded >= completions
  if (!isDone || running > 0) return undefined
  return {
    type: 'SuccessCriteriaMet',
    reason: 'CompletionsReached',
    message: 'Reached expected number of succeeded pods',
  }
}

function suspension({ status, events }: JobPlan, { job, now }: Facts): void {
  const isSuspended = isTrue(status.conditions, 'Suspended')
  const { suspend = false } = job.spec
  if (suspend === isSuspended) return
  const [reason, message] = suspend ? ['JobSuspended', 'Job suspended'] : ['JobResumed', 'Job resumed']
  setCondition(status, { type: 'Suspended', status: suspend ? 'True' : 'False', reason, message }, now)
  events.push({ type: 'Normal', reason: suspend ? 'Suspended' : 'Resumed', message })
  // The deadline counts from when it goes on.
  if (suspend) delete status.startTime
  else status.startTime = formatTime(now)
}

/** Pods that have ended go into the status before their finalizer is removed: no end is counted twice or lost. */
function account(plan: JobPlan, facts: Facts, ending: Ending | undefined): void {
  const { job, pods, doneBefore, delayed } = facts
  const { succeeded = [], failed = [] } = job.status?.uncountedTerminatedPods ?? {}
  const noted = new Set<string>([...succeeded, ...failed])
  const uncounted = { succeeded: [...succeeded], failed: [...failed] }
  const newIndexes: number[] = []
  const isFailing = ending?.type === 'FailureTarget'
  for (const pod of pods.filter(isTracked).sort((a, b) => indexOf(a) - indexOf(b))) {
    const { uid } = pod.metadata
    const isBad = hasFailed(job, pod)
    const isGood = pod.status?.phase === 'Succeeded'
    if (!ending && !isGood && (!isBad || delayed.get(indexOf(pod)) === pod)) continue
    plan.settled.push(pod)
    if (noted.has(uid) || !isValid(job, pod)) continue
    if (isGood && isIndexed(job)) {
      if (!doneBefore.has(indexOf(pod))) newIndexes.push(indexOf(pod))
    } else if (isGood) uncounted.succeeded.push(uid)
    else if ((isBad || isFailing) && failureVerdict(job, pod).counts) uncounted.failed.push(uid)
    if (newIndexes.length + uncounted.succeeded.length + uncounted.failed.length >= mostUncounted) break
  }
  plan.status.uncountedTerminatedPods = uncounted
  if (!isIndexed(job)) return
  const done = new Set([...doneBefore, ...newIndexes])
  plan.status.completedIndexes = formatIndexes(done)
  plan.status.succeeded = done.size
  if (hasLimitPerIndex(job)) plan.status.failedIndexes = formatIndexes(facts.failedIndexes)
}

/** Counts the noted Pods, whose finalizers are gone now, and ends the Job when nothing is left to wait for. */
export function settleJob(
  job: StoredObject,
  status: Record<string, any>,
  now: number,
): { status: Record<string, any>; events: JobEvent[] } {
  const { succeeded = [], failed = [] } = status.uncountedTerminatedPods ?? {}
  const settled: Record<string, any> = {
    ...status,
    uncountedTerminatedPods: {},
    succeeded: (status.succeeded ?? 0) + succeeded.length,
    failed: (status.failed ?? 0) + failed.length,
  }
  const { conditions } = settled
  if (settled.active || settled.terminating) return { status: settled, events: [] }
  const target = findCondition(conditions, 'FailureTarget')
  const success = findCondition(conditions, 'SuccessCriteriaMet')
  if (target?.status === 'True') {
    const { reason = '', message = '' } = target
    setCondition(settled, { type: 'Failed', status: 'True', reason, message }, now)
    return { status: settled, events: [{ type: 'Warning', reason, message }] }
  }
  if (success?.status !== 'True') return { status: settled, events: [] }
  const { reason = '', message = '' } = success
  setCondition(settled, { type: 'Complete', status: 'True', reason, message }, now)
  settled.completionTime = formatTime(now)
  const events: JobEvent[] = [{ type: 'Normal', reason: 'Completed', message: 'Job completed' }]
  if (job.spec.completions != null && settled.succeeded > job.spec.completions)
    events.unshift({
      type: 'Warning',
      reason: 'TooManySucceededPods',
      message: 'Too many succeeded pods running after completion count reached',
    })
  return { status: settled, events }
}
