// The rules of Events; those written through events.k8s.io keep stricter ones (pkg/apis/core/validation/events.go, 1.36).

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { qualifiedNameProblems } from '../../api/names.ts'
import { parseTime } from '../../api/time.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { immutable } from '../rules/field.ts'

const mismatch = (namespace: string): FieldError =>
  invalidValue('involvedObject.namespace', namespace, 'does not match event.namespace')

/** What holds for every Event. `reporter` is the name that the version has for who reports. */
export function validateEvent(event: ApiObject, reporter: string): FieldError[] {
  const namespace = event.involvedObject?.namespace ?? ''
  const own = event.metadata.namespace ?? ''
  if (!event.eventTime) {
    // What happens to an object of the cluster is told in the namespace "default".
    const fits = namespace === own || (!namespace && own === 'default')
    return fits ? [] : [mismatch(namespace)]
  }
  const errors = !namespace && own !== 'default' && own !== 'kube-system' ? [mismatch(namespace)] : []
  const who = event.reportingComponent ?? ''
  if (!who) errors.push(requiredValue(reporter))
  else errors.push(...qualifiedNameProblems(who).map((problem) => invalidValue(reporter, who, problem)))
  for (const field of ['reportingInstance', 'action', 'reason']) {
    if (!event[field]) errors.push(requiredValue(field))
    else if (event[field].length > 128) errors.push(invalidValue(field, '', 'can have at most 128 characters'))
  }
  if (event.message?.length > 1024) errors.push(invalidValue('message', '', 'can have at most 1024 characters'))
  return errors
}

function validateSeries({ series }: ApiObject): FieldError[] {
  if (!series) return []
  const errors = (series.count ?? 0) < 2 ? [invalidValue('series.count', '', 'should be at least 2')] : []
  if (!series.lastObservedTime) errors.push(requiredValue('series.lastObservedTime'))
  return errors
}

/** A new Event of events.k8s.io, in the fields of the core group. */
export function validateNewEvent(event: ApiObject): FieldError[] {
  const errors = validateSeries(event)
  if (!event.eventTime) errors.push(requiredValue('eventTime'))
  if (event.type !== 'Normal' && event.type !== 'Warning')
    errors.push(invalidValue('type', '', `has invalid value: ${event.type ?? ''}`))
  for (const field of ['firstTimestamp', 'lastTimestamp', 'count'])
    if (event[field]) errors.push(invalidValue(field, '', 'needs to be unset'))
  if (event.source?.component || event.source?.host) errors.push(invalidValue('source', '', 'needs to be unset'))
  return errors
}

const fixed = [
  ...['involvedObject', 'reason', 'message', 'source', 'firstTimestamp', 'lastTimestamp', 'count', 'type'],
  ...['action', 'related', 'reportingComponent', 'reportingInstance'],
]

/** Only the series of such an Event goes on. */
export function validateEventUpdate(event: ApiObject, old: ApiObject): FieldError[] {
  const errors = equalJson(event.series, old.series) ? [] : validateSeries(event)
  for (const field of fixed) {
    const name = field === 'reportingComponent' ? 'reportingController' : field
    errors.push(...immutable(name, event[field] || undefined, old[field] || undefined))
  }
  if (parseTime(event.eventTime ?? '') !== parseTime(old.eventTime ?? ''))
    errors.push(...immutable('eventTime', event.eventTime, old.eventTime))
  return errors
}
