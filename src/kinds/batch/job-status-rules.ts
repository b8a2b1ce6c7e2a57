// What a status of a Job may say, whoever writes it: the Job controller or the one that managedBy names
// (validateJobStatus and ValidateJobStatusUpdate of pkg/apis/batch/validation, 1.36). Rules that compare look only at what
// the write changes.

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { validateCount } from '../rules/share.ts'

const bad = (detail: string): FieldError => ({ type: 'FieldValueInvalid', field: 'status.conditions', detail })

const isTrue = (object: ApiObject, type: string): boolean =>
  (object.status?.conditions ?? []).some((each: any) => each.type === type && each.status === 'True')

interface Facts {
  complete: boolean
  failed: boolean
  success: boolean
  failing: boolean
}

const factsOf = (job: ApiObject): Facts => ({
  complete: isTrue(job, 'Complete'),
  failed: isTrue(job, 'Failed'),
  success: isTrue(job, 'SuccessCriteriaMet'),
  failing: isTrue(job, 'FailureTarget'),
})

export function validateJobStatus(job: ApiObject, old: ApiObject): FieldError[] {
  const status = job.status ?? {}
  const before = old.status ?? {}
  const now = factsOf(job)
  const errors = ['active', 'succeeded', 'failed', 'ready', 'terminating'].flatMap((field) =>
    validateCount(`status.${field}`, status[field]),
  )
  errors.push(...contradictions(now))
  errors.push(...completionTime(status, before, now.complete))
  if (now.complete || now.failed) errors.push(...finished(job, status, before, factsOf(old)))
  errors.push(...endings(job, old, now, factsOf(old)))
  if (status.ready > (status.active ?? 0) && status.ready !== before.ready)
    errors.push(invalidValue('status.ready', status.ready, 'cannot set more ready pods than active'))
  errors.push(...indexes(job, status, before))
  errors.push(...counters(job, old))
  return errors
}

function contradictions({ complete, failed, success, failing }: Facts): FieldError[] {
  const errors: FieldError[] = []
  if (complete && failed) errors.push(bad('cannot set Complete=True and Failed=true conditions'))
  if (complete && failing) errors.push(bad('cannot set Complete=True and FailureTarget=true conditions'))
  if (success && failed) errors.push(bad('cannot set SuccessCriteriaMet=True and Failed=true conditions'))
  if (success && failing) errors.push(bad('cannot set SuccessCriteriaMet=True and FailureTarget=true conditions'))
  return errors
}

function completionTime(status: any, before: any, complete: boolean): FieldError[] {
  const field = 'status.completionTime'
  if (!status.completionTime)
    return complete ? [requiredValue(field, 'completionTime is required for Complete jobs')] : []
  const errors: FieldError[] = []
  const { completionTime: time, startTime } = status
  if (!complete)
    errors.push(invalidValue(field, time, 'cannot set completionTime when there is no Complete=True condition'))
  if (startTime && Date.parse(time) < Date.parse(startTime))
    errors.push(invalidValue(field, time, 'must be equal to or after `startTime`'))
  if (before.completionTime && before.completionTime !== time)
    errors.push(invalidValue(field, time, 'field is immutable'))
  return errors
}

function finished(job: ApiObject, status: any, before: any, was: Facts): FieldError[] {
  const errors: FieldError[] = []
  const isNew = !was.complete && !was.failed
  const changed = (field: string) => isNew || !equalJson(status[field], before[field])
  if (status.active > 0 && changed('active'))
    errors.push(invalidValue('status.active', status.active, 'active>0 is invalid for finished job'))
  if (status.terminating > 0 && changed('terminating'))
    errors.push(invalidValue('status.terminating', status.terminating, 'terminating>0 is invalid for finished job'))
  if (!status.startTime && changed('startTime') && !(job.spec?.suspend && job.spec?.completions === 0))
    errors.push(requiredValue('status.startTime', 'startTime is required for finished job'))
  const { succeeded = [], failed = [] } = status.uncountedTerminatedPods ?? {}
  if (succeeded.length + failed.length > 0 && changed('uncountedTerminatedPods'))
    errors.push(
      invalidValue('status.uncountedTerminatedPods', status.uncountedTerminatedPods, 'must be empty for finished job'),
    )
  return errors
}

function endings(job: ApiObject, old: ApiObject, now: Facts, was: Facts): FieldError[] {
  const errors: FieldError[] = []
  if (now.failed && !now.failing && !was.failed)
    errors.push(bad('cannot set Failed=True condition without the FailureTarget=true condition'))
  if (now.complete && !now.success && (!was.complete || was.success))
    errors.push(bad('cannot set Complete=True condition without the SuccessCriteriaMet=true condition'))
  for (const type of ['Failed', 'Complete', 'FailureTarget'])
    if (isTrue(old, type) && !isTrue(job, type)) errors.push(bad(`cannot disable the terminal ${type}=True condition`))
  if (was.success && !now.success) errors.push(bad('cannot disable the SuccessCriteriaMet=True condition'))
  if (was.complete && !was.success && now.success)
    errors.push(bad('cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions'))
  return errors
}

function indexes(job: ApiObject, status: any, before: any): FieldError[] {
  const errors: FieldError[] = []
  const { completedIndexes = '', failedIndexes } = status
  if (completedIndexes && completedIndexes !== before.completedIndexes && job.spec?.completionMode !== 'Indexed')
    errors.push(
      invalidValue(
        'status.completedIndexes',
        completedIndexes,
        'cannot set non-empty completedIndexes when non-indexed completion mode',
      ),
    )
  if (failedIndexes !== undefined && failedIndexes !== before.failedIndexes && !hasLimitPerIndex(job))
    errors.push(
      invalidValue(
        'status.failedIndexes',
        failedIndexes,
        'cannot set non-null failedIndexes when backoffLimitPerIndex is null',
      ),
    )
  return errors
}

const hasLimitPerIndex = (job: ApiObject): boolean => typeof job.spec?.backoffLimitPerIndex === 'number'

function counters(job: ApiObject, old: ApiObject): FieldError[] {
  const errors: FieldError[] = []
  const [status, before] = [job.status ?? {}, old.status ?? {}]
  const { completionMode, completions, parallelism, suspend } = job.spec ?? {}
  if ((status.failed ?? 0) < (before.failed ?? 0))
    errors.push(invalidValue('status.failed', status.failed ?? 0, 'cannot decrease the failed counter'))
  const isElastic = completionMode === 'Indexed' && completions === parallelism
  if (!isElastic && (status.succeeded ?? 0) < (before.succeeded ?? 0))
    errors.push(invalidValue('status.succeeded', status.succeeded ?? 0, 'cannot decrease the succeeded counter'))
  const isResuming = isTrue(old, 'Suspended') && !isTrue(job, 'Suspended')
  if (before.startTime && before.startTime !== status.startTime && !suspend && !isResuming)
    errors.push(
      invalidValue('status.startTime', status.startTime ?? null, 'field is immutable for unsuspended job once set'),
    )
  return errors
}
