// CronJob: makes a Job whenever its schedule is due. Behaviour and events of pkg/controller/cronjob (1.36).

import { isApiError } from '../api/errors.ts'
import type { StoredObject } from '../api/meta.ts'
import { controllerOf } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import type { EventType } from '../client/record.ts'
import type { CronSchedule } from '../kinds/batch/cron-schedule.ts'
import { isTimeZone } from '../kinds/batch/cron-schedule.ts'
import { isTrue } from './conditions.ts'
import {
  type ControllerContext,
  type ControllerDefinition,
  controllerOfKind,
  itself,
  reconcileOn,
} from './controller.ts'
import { dueTime, jobFor, jobName, jobReference, scheduleOf, surplusJobs, waitFor } from './cronjob-plan.ts'
import { semanticallyEqual } from './equality.ts'
import { isJobFinished } from './job-plan.ts'
import { moment } from './moment.ts'
import { isNamespaceTerminating } from './pod-control.ts'
import { cronJobs, jobs } from './resources.ts'

export const cronJob: ControllerDefinition = {
  name: 'cronjob',
  start: (context) => {
    const watched = [
      { ref: cronJobs, keys: itself },
      { ref: jobs, keys: controllerOfKind('CronJob') },
    ]
    return reconcileOn(context, 'cronjob', watched, createSync(context))
  },
}

/** One look at a CronJob: what its status says so far. */
interface Round {
  cron: StoredObject
  status: { active?: any[]; lastScheduleTime?: string; lastSuccessfulTime?: string }
  tell: (type: EventType, reason: string, message: string) => void
}

/** 'Mon, 02 Jan 2006 15:04:05 +0000' */
const eventTime = (at: number): string => new Date(at).toUTCString().replace('GMT', '+0000')

const drop = ({ status }: Round, uid: string): void => {
  status.active = (status.active ?? []).filter((each) => each.uid !== uid)
}

function createSync(context: ControllerContext) {
  const { client, informers, clock } = context
  const record = context.recorder('cronjob-controller')
  const known = informers.informer(cronJobs)
  const jobInformer = informers.informer(jobs)

  /** What became of the Jobs so far. */
  async function review(round: Round, owned: StoredObject[]): Promise<void> {
    const { status, tell } = round
    for (const job of owned) {
      const isActive = (status.active ?? []).some(({ uid }) => uid === job.metadata.uid)
      if (!isJobFinished(job)) {
        if (!isActive)
          tell(
            'Warning',
            'UnexpectedJob',
            `Saw a job that the controller did not create or forgot: ${job.metadata.name}`,
          )
        continue
      }
      const condition = isTrue(job.status.conditions, 'Complete') ? 'Complete' : 'Failed'
      if (isActive) {
        drop(round, job.metadata.uid)
        tell('Normal', 'SawCompletedJob', `Saw completed job: ${job.metadata.name}, condition: ${condition}`)
      }
      const end = job.status.completionTime
      if (condition === 'Complete' && end && !(moment(status.lastSuccessfulTime) >= moment(end)))
        status.lastSuccessfulTime = end
    }
    for (const { uid, name, namespace } of status.active ?? []) {
      if (owned.some((job) => job.metadata.uid === uid)) continue
      const found = await client.get(jobs, name, namespace).catch((error) => {
        if (!isApiError(error, 'NotFound')) throw error
      })
      if (found) continue
      tell('Normal', 'MissingJob', `Active job went missing: ${name}`)
      drop(round, uid)
    }
  }

  async function removeJob(round: Round, { name, namespace, uid }: any): Promise<boolean> {
    try {
      await client.delete(jobs, name, namespace, { propagationPolicy: 'Background' })
    } catch (error) {
      round.tell('Warning', 'FailedDelete', `Deleted job: ${(error as Error).message}`)
      return false
    }
    drop(round, uid)
    round.tell('Normal', 'SuccessfulDelete', `Deleted job ${name}`)
    return true
  }

  async function forgetOld(round: Round, owned: StoredObject[]): Promise<void> {
    const ended = (type: string) => owned.filter((job) => isTrue(job.status?.conditions, type))
    const { successfulJobsHistoryLimit, failedJobsHistoryLimit } = round.cron.spec
    for (const job of [
      ...surplusJobs(ended('Complete'), successfulJobsHistoryLimit),
      ...surplusJobs(ended('Failed'), failedJobsHistoryLimit),
    ])
      await removeJob(round, job.metadata)
  }

  /** The schedule, unless there is something about the CronJob that keeps it from running. */
  function usableSchedule({ cron, tell }: Round): CronSchedule | undefined {
    const { timeZone, schedule, suspend } = cron.spec
    if (timeZone !== undefined && !isTimeZone(timeZone)) {
      tell('Warning', 'UnknownTimeZone', `invalid timeZone: ${JSON.stringify(timeZone)}: unknown time zone ${timeZone}`)
      return undefined
    }
    if (suspend) return undefined
    if (schedule.includes('TZ'))
      tell(
        'Warning',
        'UnsupportedSchedule',
        `CRON_TZ or TZ used in schedule ${JSON.stringify(schedule)} is not officially supported, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details`,
      )
    try {
      return scheduleOf(cron)
    } catch (error) {
      const text = `unparseable schedule: ${JSON.stringify(schedule)} : ${(error as Error).message}`
      tell('Warning', 'UnparseableSchedule', text)
      return undefined
    }
  }

  /** The time for which a Job is to be made now. */
  function timeToStart({ cron, status, tell }: Round, schedule: CronSchedule): number | undefined {
    const now = clock.now()
    let at: number | undefined
    try {
      const due = dueTime({ ...cron, status } as StoredObject, schedule, now, true)
      at = due.at
      if (at !== undefined && due.missed === 'many')
        tell(
          'Warning',
          'TooManyMissedTimes',
          'too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew',
        )
    } catch (error) {
      tell('Warning', 'InvalidSchedule', `invalid schedule: ${cron.spec.schedule} : ${(error as Error).message}`)
      return undefined
    }
    if (at === undefined) return undefined
    const deadline = cron.spec.startingDeadlineSeconds
    if (typeof deadline === 'number' && at + deadline * 1000 < now) {
      tell('Warning', 'MissSchedule', `Missed scheduled time to start a job: ${eventTime(at)}`)
      return undefined
    }
    const isDone =
      moment(status.lastScheduleTime) === at || (status.active ?? []).some(({ name }) => name === jobName(cron, at))
    if (isDone) return undefined
    if (cron.spec.concurrencyPolicy === 'Forbid' && status.active?.length) {
      tell(
        'Normal',
        'JobAlreadyActive',
        'Not starting job because prior execution is running and concurrency policy is Forbid',
      )
      return undefined
    }
    return at
  }

  async function start(round: Round, at: number): Promise<void> {
    const { cron, status, tell } = round
    if (cron.spec.concurrencyPolicy === 'Replace')
      for (const active of status.active ?? [])
        if (!(await removeJob(round, active)))
          throw new Error(`could not replace job ${active.namespace}/${active.name}`)
    const wanted = jobFor(cron, at)
    let job: StoredObject
    try {
      job = await client.create(jobs, wanted)
      tell('Normal', 'SuccessfulCreate', `Created job ${job.metadata.name}`)
    } catch (error) {
      if (isNamespaceTerminating(error)) return
      if (!isApiError(error, 'AlreadyExists')) {
        tell('Warning', 'FailedCreate', `Error creating job: ${(error as Error).message}`)
        throw error
      }
      // Made before, and the status was not written: unless it is somebody else's.
      job = await client.get(jobs, wanted.metadata.name!, wanted.metadata.namespace)
      if (controllerOf(job)?.uid !== cron.metadata.uid) return
    }
    if (!(status.active ?? []).some(({ uid }) => uid === job.metadata.uid))
      status.active = [...(status.active ?? []), jobReference(job)]
    status.lastScheduleTime = formatTime(at)
  }

  async function run(round: Round, owned: StoredObject[]): Promise<ReconcileResult | undefined> {
    await review(round, owned)
    if (round.cron.metadata.deletionTimestamp) return undefined
    await forgetOld(round, owned)
    const schedule = usableSchedule(round)
    if (!schedule) return undefined
    const at = timeToStart(round, schedule)
    if (at !== undefined) await start(round, at)
    const wait = waitFor({ ...round.cron, status: round.status } as StoredObject, schedule, clock.now())
    return wait === undefined ? undefined : { requeueAfter: wait }
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    const cron = known.get(key)
    if (!cron) return undefined
    const owned = jobInformer
      .list(cron.metadata.namespace)
      .filter((job) => controllerOf(job)?.uid === cron.metadata.uid && !job.metadata.deletionTimestamp)
    const round: Round = {
      cron,
      status: { ...cron.status },
      tell: (type, reason, message) => record(cron, type, reason, message),
    }
    try {
      return await run(round, owned)
    } finally {
      if (!semanticallyEqual(round.status, cron.status))
        await client.updateStatus(cronJobs, { ...cron, status: round.status })
    }
  }
}
