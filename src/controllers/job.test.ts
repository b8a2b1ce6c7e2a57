import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { jobPod } from './job.ts'
import { timeToLive } from './job-expiry.ts'
import { formatIndexes, nextIndexes, parseIndexes } from './job-indexes.ts'
import { planJob, settleJob } from './job-plan.ts'
import { failureCountAnnotation, trackingFinalizer } from './job-pods.ts'
import { failureVerdict, successMessage } from './job-policy.ts'
import { at, object, stamp } from './sample.fixture.ts'

const job = (spec: Record<string, unknown> = {}, status: Record<string, unknown> = {}): StoredObject =>
  object('Job', 'report', {
    spec: {
      parallelism: 1,
      completions: 1,
      backoffLimit: 6,
      template: { spec: { containers: [{ name: 'c' }] } },
      ...spec,
    },
    status,
  })

let next = 1
const pod = (phase: string, fields: { metadata?: any; status?: any } = {}): StoredObject =>
  object('Pod', `p${next++}`, {
    metadata: { finalizers: [trackingFinalizer], ...fields.metadata },
    spec: { nodeName: 'n1' },
    status: { phase, ...fields.status },
  })

const condition = (status: any, type: string) => status.conditions?.find((each: any) => each.type === type)

test('how many Pods run at once', () => {
  const create = (spec: Record<string, unknown>, status = {}, pods: StoredObject[] = []) =>
    planJob(job(spec, status), pods, at(0)).create.map(({ index }) => index)
  assert.equal(create({ parallelism: 3, completions: 5 }).length, 3)
  assert.equal(create({ parallelism: 3, completions: 5 }, { succeeded: 4 }).length, 1)
  assert.equal(create({ parallelism: 3, completions: 5 }, {}, [pod('Running'), pod('Pending')]).length, 1)
  assert.equal(create({ parallelism: 3, completions: undefined }).length, 3)
  assert.equal(create({ parallelism: 3, completions: undefined }, { succeeded: 1 }, [pod('Running')]).length, 0)
  assert.deepEqual(
    create({ parallelism: 2, completions: 5, completionMode: 'Indexed' }, { completedIndexes: '0,2' }),
    [1, 3],
  )
})

test('an end is noted, then counted, and never twice', () => {
  const ended = pod('Succeeded')
  const plan = planJob(job({ completions: 2 }), [ended], at(0))
  assert.deepEqual(plan.status.uncountedTerminatedPods, { succeeded: [ended.metadata.uid], failed: [] })
  // The same Pod again, before its finalizer is gone.
  const again = planJob(job({ completions: 2 }, plan.status), [ended], at(1))
  assert.deepEqual(again.status.uncountedTerminatedPods.succeeded, [ended.metadata.uid])
  const settled = settleJob(job({ completions: 2 }), again.status, at(1)).status
  assert.equal(settled.succeeded, 1)
  const released = pod('Succeeded', { metadata: { finalizers: [] } })
  assert.deepEqual(
    planJob(job({ completions: 2 }, settled), [released], at(2)).status.uncountedTerminatedPods.succeeded,
    [],
  )
})

test('complete when enough have succeeded', () => {
  const plan = planJob(job(), [pod('Succeeded')], at(0))
  assert.equal(condition(plan.status, 'SuccessCriteriaMet').reason, 'CompletionsReached')
  const { status, events } = settleJob(job(), plan.status, at(0))
  assert.equal(condition(status, 'Complete').status, 'True')
  assert.equal(status.completionTime, stamp(0))
  assert.deepEqual(events, [{ type: 'Normal', reason: 'Completed', message: 'Job completed' }])
})

test('failed after too many failures, once the last Pod is gone', () => {
  const running = pod('Running')
  const plan = planJob(
    job({ backoffLimit: 1, parallelism: 2, completions: 2 }),
    [pod('Failed'), pod('Failed'), running],
    at(0),
  )
  assert.deepEqual(plan.end, [running])
  assert.equal(condition(plan.status, 'FailureTarget').reason, 'BackoffLimitExceeded')
  const waiting = settleJob(job(), { ...plan.status, terminating: 1 }, at(0)).status
  assert.equal(condition(waiting, 'Failed'), undefined)
  const last = planJob(job({ backoffLimit: 1 }, waiting), [], at(5))
  const { status, events } = settleJob(job(), { ...last.status, terminating: 0 }, at(5))
  assert.equal(condition(status, 'Failed').message, 'Job has reached the specified backoff limit')
  assert.equal(events[0]?.reason, 'BackoffLimitExceeded')
})

test('after a failure the next Pod waits, longer each time', () => {
  const failed = (end: number) =>
    pod('Failed', {
      metadata: { finalizers: [] },
      status: { containerStatuses: [{ state: { terminated: { finishedAt: stamp(end) } } }] },
    })
  const plan = (...pods: StoredObject[]) => planJob(job({}, { startTime: stamp(0), failed: pods.length }), pods, at(1))
  assert.deepEqual([plan(failed(0)).create, plan(failed(0)).requeueAfter], [[], 9000])
  assert.equal(plan(failed(0), failed(1)).requeueAfter, 20_000)
  assert.equal(plan(failed(-60)).create.length, 1)
})

test('deadline, suspension, resumption', () => {
  const late = planJob(job({ activeDeadlineSeconds: 30 }, { startTime: stamp(0) }), [pod('Running')], at(31))
  assert.equal(condition(late.status, 'FailureTarget').reason, 'DeadlineExceeded')
  const soon = planJob(job({ activeDeadlineSeconds: 30 }, { startTime: stamp(0) }), [pod('Running')], at(10))
  assert.equal(soon.requeueAfter, 20_000)
  const running = pod('Running')
  const suspended = planJob(job({ suspend: true }, { startTime: stamp(0) }), [running], at(5))
  assert.deepEqual(suspended.remove, [running])
  assert.equal(condition(suspended.status, 'Suspended').reason, 'JobSuspended')
  assert.equal(suspended.status.startTime, undefined)
  const resumed = planJob(job({}, suspended.status), [], at(9))
  assert.equal(condition(resumed.status, 'Suspended').reason, 'JobResumed')
  assert.deepEqual([resumed.status.startTime, resumed.create], [stamp(9), [{}]])
})

test('indexes', () => {
  assert.deepEqual([...parseIndexes('0-2,5')], [0, 1, 2, 5])
  assert.equal(formatIndexes(new Set([5, 0, 1, 2, 8, 7])), '0-2,5,7,8')
  assert.equal(formatIndexes(new Set()), '')
  assert.deepEqual(nextIndexes(5, new Set([0, 2]), 2), [1, 3])
  const made = jobPod(job({ completionMode: 'Indexed', completions: 3 }), { index: 2 })
  assert.equal(made.metadata.generateName, 'report-2-')
  assert.equal(made.spec.hostname, 'report-2')
  assert.equal(made.spec.containers[0].env[0].name, 'JOB_COMPLETION_INDEX')
})

const indexed = (index: number, phase: string, fields: { exitCode?: number; failures?: number } = {}): StoredObject =>
  pod(phase, {
    metadata: {
      finalizers: [trackingFinalizer],
      annotations: {
        'batch.kubernetes.io/job-completion-index': String(index),
        ...(fields.failures !== undefined && { [failureCountAnnotation]: String(fields.failures) }),
      },
    },
    status: {
      containerStatuses: [
        { name: 'c', state: { terminated: { exitCode: fields.exitCode ?? 0, finishedAt: stamp(-3600) } } },
      ],
    },
  })

const perIndex = {
  completionMode: 'Indexed',
  completions: 3,
  parallelism: 3,
  backoffLimit: 2147483647,
  backoffLimitPerIndex: 1,
}

test('each index has its own limit', () => {
  const first = indexed(0, 'Failed', { failures: 0 })
  const plan = planJob(job(perIndex), [first, indexed(1, 'Succeeded')], at(0))
  // The failed Pod stays until its successor knows the count.
  assert.deepEqual(plan.create, [
    { index: 0, failed: 1, ignored: 0 },
    { index: 2, failed: 0, ignored: 0 },
  ])
  assert.ok(!plan.settled.includes(first))
  const made = jobPod(job(perIndex), plan.create[0])
  assert.equal(made.metadata.annotations![failureCountAnnotation], '1')
  const second = planJob(job(perIndex), [indexed(0, 'Failed', { failures: 1 }), indexed(1, 'Succeeded')], at(0))
  assert.equal(second.status.failedIndexes, '0')
  assert.equal(condition(second.status, 'FailureTarget'), undefined)
  const last = planJob(
    job(perIndex),
    [indexed(0, 'Failed', { failures: 1 }), indexed(1, 'Succeeded'), indexed(2, 'Succeeded')],
    at(0),
  )
  assert.equal(condition(last.status, 'FailureTarget').reason, 'FailedIndexes')
  const many = planJob(
    job({ ...perIndex, maxFailedIndexes: 1 }),
    [indexed(0, 'Failed', { failures: 1 }), indexed(1, 'Failed', { failures: 1 })],
    at(0),
  )
  assert.equal(condition(many.status, 'FailureTarget').reason, 'MaxFailedIndexesExceeded')
})

test('a policy says what a failure means', () => {
  const rule = (action: string, values: number[]) => ({ action, onExitCodes: { operator: 'In', values } })
  const spec = {
    ...perIndex,
    podFailurePolicy: {
      rules: [
        rule('FailJob', [3]),
        rule('FailIndex', [4]),
        { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
      ],
    },
  }
  const bad = indexed(0, 'Failed', { exitCode: 3 })
  assert.equal(
    failureVerdict(job(spec), bad).message,
    `Container c for pod default/${bad.metadata.name} failed with exit code 3 matching FailJob rule at index 0`,
  )
  const failed = planJob(job(spec), [bad], at(0))
  assert.equal(condition(failed.status, 'FailureTarget').reason, 'PodFailurePolicy')
  assert.equal(planJob(job(spec), [indexed(0, 'Failed', { exitCode: 4 })], at(0)).status.failedIndexes, '0')
  const evicted = indexed(1, 'Failed', { exitCode: 137 })
  evicted.status.conditions = [{ type: 'DisruptionTarget', status: 'True' }]
  assert.equal(failureVerdict(job(spec), evicted).counts, false)
  assert.deepEqual(planJob(job(spec), [evicted], at(0)).create[1], { index: 1, failed: 0, ignored: 1 })
})

test('a policy says when enough has succeeded', () => {
  const spec = (rule: object) => job({ ...perIndex, completions: 5, successPolicy: { rules: [rule] } })
  assert.equal(successMessage(spec({ succeededCount: 2 }), new Set([0])), undefined)
  assert.equal(successMessage(spec({ succeededCount: 2 }), new Set([0, 4])), 'Matched rules at index 0')
  assert.equal(successMessage(spec({ succeededIndexes: '0-2' }), new Set([0, 1])), undefined)
  assert.equal(
    successMessage(spec({ succeededIndexes: '0-2', succeededCount: 1 }), new Set([1])),
    'Matched rules at index 0',
  )
  const running = indexed(1, 'Running')
  const plan = planJob(spec({ succeededIndexes: '0' }), [indexed(0, 'Succeeded'), running], at(0))
  assert.equal(condition(plan.status, 'SuccessCriteriaMet').reason, 'SuccessPolicy')
  assert.deepEqual(plan.end, [running])
  assert.deepEqual(plan.status.uncountedTerminatedPods.failed, [])
})

test('an indexed Job grows and shrinks', () => {
  const small = { ...perIndex, completions: 1, parallelism: 1, backoffLimitPerIndex: undefined }
  const [zero, one] = [indexed(0, 'Running'), indexed(1, 'Running')]
  assert.deepEqual(planJob(job(small), [zero, one], at(0)).remove, [one])
  assert.equal(planJob(job(small, { completedIndexes: '0-2', succeeded: 3 }), [], at(0)).status.completedIndexes, '0')
})

test('a finished Job lives as long as it is told', () => {
  const finished = { conditions: [{ type: 'Complete', status: 'True', lastTransitionTime: stamp(0) }] }
  assert.equal(timeToLive(job({ ttlSecondsAfterFinished: 60 }, finished), at(20)), 40_000)
  assert.equal(timeToLive(job({ ttlSecondsAfterFinished: 60 }, finished), at(90)), 0)
  assert.equal(timeToLive(job({ ttlSecondsAfterFinished: 60 }), at(90)), undefined)
  assert.equal(timeToLive(job({}, finished), at(90)), undefined)
})
