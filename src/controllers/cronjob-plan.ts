// When a CronJob is due, and the Job that it then makes. Pure; pkg/controller/cronjob/utils.go (1.36).

import type { ApiObject, StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { type CronSchedule, parseCronSchedule } from '../kinds/batch/cron-schedule.ts'
import { moment } from './moment.ts'
import { controllerReference } from './ownership.ts'

/** More than this many missed times are told of. */
const manyMissed = 100
/** Added to each wait, for clocks that do not agree to the millisecond. */
const paddingMs = 100

export const scheduleOf = (cron: StoredObject): CronSchedule =>
  parseCronSchedule(cron.spec.schedule, cron.spec.timeZone)

export interface Due {
  /** The last time that has come and has had no Job; undefined when none has. */
  at: number | undefined
  /** From when on times were looked for. */
  since: number
  missed: 'none' | 'few' | 'many'
}

/** @throws Error for a schedule that names no two different moments. */
export function dueTime(cron: StoredObject, schedule: CronSchedule, now: number, withDeadline: boolean): Due {
  let since = moment(cron.status?.lastScheduleTime ?? cron.metadata.creationTimestamp)
  const deadline = cron.spec.startingDeadlineSeconds
  if (withDeadline && typeof deadline === 'number') since = Math.max(since, now - deadline * 1000)
  const first = schedule.next(since)
  const second = first === undefined ? undefined : schedule.next(first)
  if (first === undefined || now < first) return { at: undefined, since, missed: 'none' }
  if (second === undefined || now < second) return { at: first, since, missed: 'none' }
  const period = Math.round((second - first) / 1000) * 1000
  if (period < 1000) throw new Error('time difference between two schedules is less than 1 second')
  const count = Math.floor((now - first) / period) + 1
  let at: number | undefined
  // Regular schedules would reach the present in one step; irregular ones are walked from one period before.
  let next = schedule.next(first + (count - 2) * period)
  while (next !== undefined && next <= now) {
    at = next
    next = schedule.next(next)
  }
  return { at, since, missed: count > manyMissed ? 'many' : 'few' }
}

/** Milliseconds until the schedule is looked at again; undefined when it never is due any more. */
export function waitFor(cron: StoredObject, schedule: CronSchedule, now: number): number | undefined {
  let from = now
  try {
    const { at, since, missed } = dueTime(cron, schedule, now, false)
    from = at ?? (missed === 'none' ? since : now)
  } catch {
    // The next slot from now on will do.
  }
  const next = schedule.next(from)
  return next === undefined ? undefined : Math.max(next + paddingMs - now, 0)
}

export const jobName = (cron: StoredObject, at: number): string => `${cron.metadata.name}-${Math.floor(at / 60_000)}`

/** RFC 3339 with the zone's own offset. */
function zonedTime(at: number, zone: string | undefined): string {
  if (!zone || zone === 'UTC' || zone === 'Etc/UTC') return formatTime(at)
  const parts: Record<string, string> = {}
  const options = { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' } as const
  const format = new Intl.DateTimeFormat('en-CA', {
    ...options,
    second: '2-digit',
    hourCycle: 'h23',
    timeZone: zone,
    timeZoneName: 'longOffset',
  })
  for (const { type, value } of format.formatToParts(at)) parts[type] = value
  const offset = (parts.timeZoneName ?? '').replace('GMT', '') || 'Z'
  return `${parts.year}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}:${parts.second}${offset}`
}

export function jobFor(cron: StoredObject, at: number): ApiObject {
  const { metadata = {}, spec } = cron.spec.jobTemplate
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: jobName(cron, at),
      namespace: cron.metadata.namespace!,
      labels: { ...metadata.labels },
      annotations: {
        ...metadata.annotations,
        'batch.kubernetes.io/cronjob-scheduled-timestamp': zonedTime(at, cron.spec.timeZone),
      },
      ownerReferences: [controllerReference(cron)],
    },
    spec,
  }
}

/** How status.active names a Job. */
export const jobReference = (job: StoredObject): Record<string, unknown> => ({
  kind: job.kind,
  namespace: job.metadata.namespace,
  name: job.metadata.name,
  uid: job.metadata.uid,
  apiVersion: job.apiVersion,
  resourceVersion: job.metadata.resourceVersion,
})

/** The oldest of these Jobs beyond the limit. */
export function surplusJobs(jobs: StoredObject[], limit: number | undefined): StoredObject[] {
  if (limit === undefined || jobs.length <= limit) return []
  const start = (job: StoredObject) => moment(job.status?.startTime ?? undefined)
  const sorted = jobs.toSorted((a, b) => {
    const [first, second] = [start(a), start(b)]
    if (Number.isNaN(first) !== Number.isNaN(second)) return Number.isNaN(first) ? 1 : -1
    return first - second || (a.metadata.name < b.metadata.name ? -1 : 1)
  })
  return sorted.slice(0, jobs.length - limit)
}
