import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { dueTime, jobFor, scheduleOf, surplusJobs, waitFor } from './cronjob-plan.ts'
import { startTestPlatform, type TestPlatform } from './platform.fixture.ts'
import { cronJobs, jobs } from './resources.ts'
import { at, object, stamp } from './sample.fixture.ts'

const template = { spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } } } }
const cron = (spec: Record<string, unknown> = {}, status = {}): StoredObject =>
  object('CronJob', 'tick', {
    spec: { schedule: '*/10 * * * *', timeZone: 'UTC', jobTemplate: template, ...spec },
    status,
  })

const due = (spec: Record<string, unknown>, status: object, seconds: number) => {
  const each = cron(spec, status)
  return dueTime(each, scheduleOf(each), at(seconds), true)
}

test('the last time that has come is due, the ones before it are missed', () => {
  assert.equal(due({}, {}, 599).at, undefined)
  assert.deepEqual(due({}, {}, 605), { at: at(600), since: at(0), missed: 'none' })
  assert.deepEqual(due({}, { lastScheduleTime: stamp(600) }, 3605), { at: at(3600), since: at(600), missed: 'few' })
  assert.equal(due({ schedule: '* * * * *' }, {}, 60 * 200).missed, 'many')
  assert.equal(due({ startingDeadlineSeconds: 60 }, {}, 3900).at, undefined)
  assert.equal(due({ schedule: '0 0 31 2 *' }, {}, 5).at, undefined)
  const each = cron({}, { lastScheduleTime: stamp(600) })
  assert.equal(waitFor(each, scheduleOf(each), at(700)), 500_100)
})

test('the Job of a time has its name and says when it was due', () => {
  const job = jobFor(cron({ timeZone: 'Europe/Berlin' }), at(600))
  assert.equal(job.metadata.name, `tick-${at(600) / 60_000}`)
  assert.equal(
    job.metadata.annotations!['batch.kubernetes.io/cronjob-scheduled-timestamp'],
    '2026-01-01T01:10:00+01:00',
  )
  assert.equal(job.metadata.ownerReferences![0]!.kind, 'CronJob')
})

test('the oldest Jobs are forgotten first', () => {
  const jobs = [30, 10, 20].map((start) => object('Job', `j${start}`, { status: { startTime: stamp(start) } }))
  assert.deepEqual(
    surplusJobs(jobs, 1).map(({ metadata }) => metadata.name),
    ['j10', 'j20'],
  )
  assert.deepEqual(surplusJobs(jobs, undefined), [])
})

let platform: TestPlatform
before(async () => {
  platform = await startTestPlatform({ fate: () => 'succeed' })
})
after(() => platform.stop())

test('Jobs come, end and are forgotten', async () => {
  await platform.client.create(cronJobs, {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'often', namespace: 'default' },
    spec: { schedule: '@every 1s', successfulJobsHistoryLimit: 1, jobTemplate: template },
  })
  await platform.untilEvents('SawCompletedJob', [/^Saw completed job: often-\d+, condition: Complete$/])
  await platform.until(cronJobs, 'default/often', (one) => Boolean(one?.status?.lastSuccessfulTime))
  await platform.client.patch(cronJobs, 'often', 'default', 'merge', { spec: { suspend: true } })
  await platform.untilAll(jobs, (all) => all.filter((job) => job.metadata.name.startsWith('often-')).length <= 1)
})
