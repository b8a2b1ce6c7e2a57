// CronJob: a Job at each time that a schedule names.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { humanDuration } from '../../api/time.ts'
import { invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { integer, none, specSelectorText, text } from '../columns.ts'
import { defaultPodSpec } from '../core/pod-defaults.ts'
import { validateCount } from '../rules/share.ts'
import { schemaOf, types } from '../types.ts'
import { isTimeZone, parseCronSchedule } from './cron-schedule.ts'
import { defaultFailurePolicy } from './job-defaults.ts'
import { validateJobSpec } from './job-rules.ts'

/** Names of Jobs get '-' and ten digits. */
const longestName = 52

function validateSchedule(schedule: string, zone: string | undefined, mayNameZone: boolean): FieldError[] {
  const field = 'spec.schedule'
  if (!schedule) return [requiredValue(field)]
  const errors: FieldError[] = []
  try {
    parseCronSchedule(schedule)
  } catch (error) {
    errors.push(invalidValue(field, schedule, (error as Error).message))
  }
  if (!schedule.includes('TZ')) return errors
  if (!mayNameZone)
    errors.push(invalidValue(field, schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'))
  else if (zone !== undefined)
    errors.push(invalidValue(field, schedule, 'cannot use both timeZone field and TZ or CRON_TZ in schedule'))
  return errors
}

function validateTimeZone(zone: string | undefined): FieldError[] {
  const field = 'spec.timeZone'
  if (zone === undefined) return []
  if (zone === '') return [invalidValue(field, zone, 'timeZone must be nil or non-empty string')]
  const isSound = zone
    .split('/')
    .every((part) => part !== '.' && part !== '..' && /^[A-Za-z._0-9+][A-Za-z._0-9+-]{0,13}$/.test(part))
  if (!isSound) return [invalidValue(field, zone, `unknown time zone ${zone}`)]
  if (zone.toLowerCase() === 'local')
    return [
      invalidValue(field, zone, 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones'),
    ]
  return isTimeZone(zone) ? [] : [invalidValue(field, zone, `unknown time zone ${zone}`)]
}

function validate({ metadata, spec }: ApiObject, old?: ApiObject): FieldError[] {
  if (!spec) return [requiredValue('spec')]
  const job = spec.jobTemplate?.spec ?? {}
  const errors = [
    ...validateSchedule(spec.schedule, spec.timeZone, Boolean(old?.spec?.schedule?.includes('TZ'))),
    ...validateCount('spec.startingDeadlineSeconds', spec.startingDeadlineSeconds),
    ...(old && old.spec?.timeZone === spec.timeZone ? [] : validateTimeZone(spec.timeZone)),
    ...validateJobSpec(job, 'spec.jobTemplate.spec'),
    ...validateCount('spec.successfulJobsHistoryLimit', spec.successfulJobsHistoryLimit),
    ...validateCount('spec.failedJobsHistoryLimit', spec.failedJobsHistoryLimit),
  ]
  if (job.selector !== undefined)
    errors.push(invalidValue('spec.jobTemplate.spec.selector', job.selector, '`selector` will be auto-generated'))
  if (job.manualSelector) errors.push(notSupported('spec.jobTemplate.spec.manualSelector', true, ['nil', 'false']))
  if (!old && (metadata.name?.length ?? 0) > longestName)
    errors.push(invalidValue('metadata.name', metadata.name, 'must be no more than 52 characters'))
  return errors
}

const since = (time: string | undefined, now: number): string => (time ? humanDuration(now - Date.parse(time)) : none)

const containers = (object: ApiObject): any[] => object.spec?.jobTemplate?.spec?.template?.spec?.containers ?? []

export const cronJob = defineKind({
  group: 'batch',
  version: 'v1',
  kind: 'CronJob',
  plural: 'cronjobs',
  singular: 'cronjob',
  shortNames: ['cj'],
  categories: ['all'],
  scope: 'Namespaced',
  schema: schemaOf('batch.v1.CronJob'),
  types,
  subresources: { status: true },
  columns: [
    text('Schedule', (object) => object.spec?.schedule ?? ''),
    text('Timezone', (object) => object.spec?.timeZone ?? none),
    { name: 'Suspend', type: 'boolean', value: ({ spec }) => (spec?.suspend ? 'True' : 'False') },
    integer('Active', (object) => object.status?.active?.length ?? 0),
    text('Last Schedule', (object, now) => since(object.status?.lastScheduleTime, now)),
    ageColumn,
    text(
      'Containers',
      (object) =>
        containers(object)
          .map(({ name }) => name)
          .join(','),
      1,
    ),
    text(
      'Images',
      (object) =>
        containers(object)
          .map(({ image }) => image)
          .join(','),
      1,
    ),
    text('Selector', (object) => specSelectorText(object.spec?.jobTemplate?.spec?.selector) || none, 1),
  ],
  defaults({ spec }) {
    const job = spec?.jobTemplate?.spec
    if (!job) return
    defaultPodSpec(job.template?.spec)
    defaultFailurePolicy(job)
  },
  prepareCreate(object) {
    object.status = {}
  },
  validate,
  example: {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'nightly', namespace: 'default' },
    spec: {
      schedule: '0 3 * * *',
      timeZone: 'Europe/Berlin',
      jobTemplate: {
        spec: {
          template: {
            spec: {
              restartPolicy: 'Never',
              containers: [{ name: 'report', image: 'busybox:1.36', command: ['date'] }],
            },
          },
        },
      },
    },
  },
})
