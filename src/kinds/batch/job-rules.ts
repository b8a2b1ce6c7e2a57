// Rules for the spec of a Job, used for Jobs and for the templates of CronJobs (pkg/apis/batch/validation, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { invalidValue, notSupported, requiredValue, tooLong } from '../../api/walk/rules.ts'
import { validatePodSpec } from '../core/pod-rules.ts'
import { validateCount } from '../rules/share.ts'
import { validateFailurePolicy, validateSuccessPolicy } from './job-policy-rules.ts'

const counts = [
  'parallelism',
  'completions',
  'activeDeadlineSeconds',
  'backoffLimit',
  'ttlSecondsAfterFinished',
  'backoffLimitPerIndex',
  'maxFailedIndexes',
]
const mostIndexes = 100_000
const manyCompletions = 100_000
const mostWithManyCompletions = 10_000

export function validateJobSpec(spec: any, field: string): FieldError[] {
  const errors = counts.flatMap((name) => validateCount(`${field}.${name}`, spec[name]))
  if (spec.maxFailedIndexes !== undefined && spec.backoffLimitPerIndex === undefined)
    errors.push(requiredValue(`${field}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'))
  if (spec.managedBy !== undefined) errors.push(...validateManager(spec.managedBy, `${field}.managedBy`))
  if (spec.completionMode === 'Indexed') errors.push(...validateIndexed(spec, field))
  else
    for (const name of ['backoffLimitPerIndex', 'maxFailedIndexes'])
      if (spec[name] !== undefined)
        errors.push(invalidValue(`${field}.${name}`, spec[name], 'requires indexed completion mode'))
  if (spec.podFailurePolicy) errors.push(...validateFailurePolicy(spec, `${field}.podFailurePolicy`))
  if (spec.successPolicy)
    errors.push(
      ...(spec.completionMode === 'Indexed'
        ? validateSuccessPolicy(spec, `${field}.successPolicy`)
        : [invalidValue(`${field}.successPolicy`, spec.successPolicy, 'requires indexed completion mode')]),
    )
  const replacement = spec.podReplacementPolicy
  const replacements = spec.podFailurePolicy ? ['Failed'] : ['Failed', 'TerminatingOrFailed']
  if (replacement !== undefined && !replacements.includes(replacement))
    errors.push(notSupported(`${field}.podReplacementPolicy`, replacement, replacements))
  return [...errors, ...validateTemplate(spec, `${field}.template`)]
}

function validateManager(name: string, field: string): FieldError[] {
  const errors: FieldError[] = []
  if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?\/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/.test(name))
    errors.push(invalidValue(field, name, 'must be a domain-prefixed path (such as "acme.io/foo")'))
  if (name.length > 63) errors.push(tooLong(field, 63))
  return errors
}

function validateIndexed(spec: any, field: string): FieldError[] {
  const { completions, parallelism, maxFailedIndexes, backoffLimitPerIndex } = spec
  const errors: FieldError[] = []
  const atMost = (name: string, limit: number, when: string) => {
    if (spec[name] > limit)
      errors.push(invalidValue(`${field}.${name}`, spec[name], `must be less than or equal to ${limit}${when}`))
  }
  if (completions === undefined) errors.push(requiredValue(`${field}.completions`, 'when completion mode is Indexed'))
  atMost('parallelism', mostIndexes, ' when completion mode is Indexed')
  if (maxFailedIndexes > completions)
    errors.push(
      invalidValue(`${field}.maxFailedIndexes`, maxFailedIndexes, 'must be less than or equal to completions'),
    )
  atMost('maxFailedIndexes', mostIndexes, '')
  if (!(completions > manyCompletions) || backoffLimitPerIndex === undefined) return errors
  if (maxFailedIndexes === undefined)
    errors.push(
      requiredValue(`${field}.maxFailedIndexes`, `must be specified when completions is above ${manyCompletions}`),
    )
  const when = ` when completions are above ${manyCompletions} and used with backoff limit per index`
  if (parallelism !== undefined) atMost('parallelism', mostWithManyCompletions, when)
  atMost('maxFailedIndexes', mostWithManyCompletions, when)
  return errors
}

function validateTemplate({ template, podFailurePolicy }: any, field: string): FieldError[] {
  const policy = template?.spec?.restartPolicy
  const path = `${field}.spec.restartPolicy`
  const errors = validatePodSpec(template?.spec, `${field}.spec`)
  if (policy === 'Always' || policy === '' || policy === undefined)
    errors.push(requiredValue(path, 'valid values: "OnFailure", "Never"'))
  else if (!['OnFailure', 'Never'].includes(policy)) errors.push(notSupported(path, policy, ['OnFailure', 'Never']))
  else if (podFailurePolicy && policy !== 'Never')
    errors.push(invalidValue(path, policy, 'only "Never" is supported when podFailurePolicy is specified'))
  return errors
}
