import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { jobPod } from './job.ts'
import { timeToLive } from './job-expiry.ts'
import { formatIndexes, nextIndexes, parseIndexes } from './job-indexes.ts'
import { planJob, settleJob, trackingFinalizer } from './job-plan.ts'
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
    planJob(job(spec, status), pods, at(0)).create
  assert.equal(create({ parallelism: 3, completions: 5 }), 3)
  assert.equal(create({ parallelism: 3, completions: 5 }, { succeeded: 4 }), 1)
  assert.equal(create({ parallelism: 3, completions: 5 }, {}, [pod('Running'), pod('Pending')]), 1)
  assert.equal(create({ parallelism: 3, completions: undefined }), 3)
  assert.equal(create({ parallelism: 3, completions: undefined }, { succeeded: 1 }, [pod('Running')]), 0)
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
  const settled = settleJob(again.status, at(1)).status
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
  const { status, event } = settleJob(plan.status, at(0))
  assert.equal(condition(status, 'Complete').status, 'True')
  assert.equal(status.completionTime, stamp(0))
  assert.deepEqual(event, { type: 'Normal', reason: 'Completed', message: 'Job completed' })
})

test('failed after too many failures, once the last Pod is gone', () => {
  const running = pod('Running')
  const plan = planJob(
    job({ backoffLimit: 1, parallelism: 2, completions: 2 }),
    [pod('Failed'), pod('Failed'), running],
    at(0),
  )
  assert.deepEqual(plan.delete, [running])
  assert.equal(condition(plan.status, 'FailureTarget').reason, 'BackoffLimitExceeded')
  const waiting = settleJob(plan.status, at(0)).status
  assert.equal(condition(waiting, 'Failed'), undefined)
  const last = planJob(job({ backoffLimit: 1 }, waiting), [], at(5))
  const { status, event } = settleJob(last.status, at(5))
  assert.equal(condition(status, 'Failed').message, 'Job has reached the specified backoff limit')
  assert.equal(event?.reason, 'BackoffLimitExceeded')
})

test('after a failure the next Pod waits, longer each time', () => {
  const failed = (end: number) =>
    pod('Failed', {
      metadata: { finalizers: [] },
      status: { containerStatuses: [{ state: { terminated: { finishedAt: stamp(end) } } }] },
    })
  const plan = (...pods: StoredObject[]) => planJob(job({}, { startTime: stamp(0), failed: pods.length }), pods, at(1))
  assert.deepEqual([plan(failed(0)).create, plan(failed(0)).requeueAfter], [0, 9000])
  assert.equal(plan(failed(0), failed(1)).requeueAfter, 20_000)
  assert.equal(plan(failed(-60)).create, 1)
})

test('deadline, suspension, resumption', () => {
  const late = planJob(job({ activeDeadlineSeconds: 30 }, { startTime: stamp(0) }), [pod('Running')], at(31))
  assert.equal(condition(late.status, 'FailureTarget').reason, 'DeadlineExceeded')
  const soon = planJob(job({ activeDeadlineSeconds: 30 }, { startTime: stamp(0) }), [pod('Running')], at(10))
  assert.equal(soon.requeueAfter, 20_000)
  const running = pod('Running')
  const suspended = planJob(job({ suspend: true }, { startTime: stamp(0) }), [running], at(5))
  assert.deepEqual(suspended.delete, [running])
  assert.equal(condition(suspended.status, 'Suspended').reason, 'JobSuspended')
  assert.equal(suspended.status.startTime, undefined)
  const leaving = pod('Running', { metadata: { finalizers: [trackingFinalizer], deletionTimestamp: 'x' } })
  assert.deepEqual(planJob(job({ suspend: true }), [leaving], at(6)).status.uncountedTerminatedPods.failed, [])
  const resumed = planJob(job({}, suspended.status), [], at(9))
  assert.equal(condition(resumed.status, 'Suspended').reason, 'JobResumed')
  assert.deepEqual([resumed.status.startTime, resumed.create], [stamp(9), 1])
})

test('indexes', () => {
  assert.deepEqual([...parseIndexes('0-2,5')], [0, 1, 2, 5])
  assert.equal(formatIndexes(new Set([5, 0, 1, 2, 8, 7])), '0-2,5,7,8')
  assert.equal(formatIndexes(new Set()), '')
  assert.deepEqual(nextIndexes(5, new Set([0, 2]), 2), [1, 3])
  const made = jobPod(job({ completionMode: 'Indexed', completions: 3 }), 2)
  assert.equal(made.metadata.generateName, 'report-2-')
  assert.equal(made.spec.hostname, 'report-2')
  assert.equal(made.spec.containers[0].env[0].name, 'JOB_COMPLETION_INDEX')
})

test('a finished Job lives as long as it is told', () => {
  const finished = { conditions: [{ type: 'Complete', status: 'True', lastTransitionTime: stamp(0) }] }
  assert.equal(timeToLive(job({ ttlSecondsAfterFinished: 60 }, finished), at(20)), 40_000)
  assert.equal(timeToLive(job({ ttlSecondsAfterFinished: 60 }, finished), at(90)), 0)
  assert.equal(timeToLive(job({ ttlSecondsAfterFinished: 60 }), at(90)), undefined)
  assert.equal(timeToLive(job({}, finished), at(90)), undefined)
})
