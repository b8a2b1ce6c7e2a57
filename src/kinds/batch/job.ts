// Job: Pods that run until their work is done.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { selectorMatcher, validateSelector } from '../../api/selector.ts'
import { ageColumn } from '../../api/table.ts'
import { humanDuration } from '../../api/time.ts'
import { forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { validateCount } from '../apps/template-rules.ts'
import { templateColumns, text } from '../columns.ts'
import { defaultPodSpec } from '../core/pod-defaults.ts'
import { validatePodSpec } from '../core/pod-rules.ts'
import { immutable } from '../rules/field.ts'
import { schemaOf, types } from '../types.ts'

function defaults({ metadata, spec }: ApiObject): void {
  if (!spec) return
  defaultPodSpec(spec.template?.spec)
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1
  spec.parallelism ??= 1
  spec.podReplacementPolicy ??= 'TerminatingOrFailed'
  const labels = spec.template?.metadata?.labels
  if (!metadata.labels && labels && Object.keys(labels).length) metadata.labels = { ...labels }
}

/** The Job's Pods carry its uid, so that no other Job's Pods are taken for its own. */
function selectOwnPods(object: ApiObject): void {
  object.status = {}
  const { metadata, spec } = object
  if (!spec?.template || spec.manualSelector) return
  const { name, uid } = metadata
  if (!uid || spec.selector) return
  spec.template.metadata ??= {}
  spec.template.metadata.labels = {
    ...spec.template.metadata.labels,
    'batch.kubernetes.io/controller-uid': uid,
    'batch.kubernetes.io/job-name': name,
    'controller-uid': uid,
    'job-name': name,
  }
  spec.selector = { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } }
}

const counts = ['parallelism', 'completions', 'backoffLimit', 'activeDeadlineSeconds', 'ttlSecondsAfterFinished']
const unsupported = ['backoffLimitPerIndex', 'maxFailedIndexes', 'podFailurePolicy', 'successPolicy']

function validate(object: ApiObject, old?: ApiObject): FieldError[] {
  const { spec } = object
  if (!spec) return [requiredValue('spec')]
  const errors = counts.flatMap((field) => validateCount(`spec.${field}`, spec[field]))
  for (const field of unsupported)
    if (spec[field] !== undefined) errors.push(forbidden(`spec.${field}`, 'this field is not supported here'))
  if (spec.completionMode === 'Indexed' && spec.completions === undefined)
    errors.push(requiredValue('spec.completions', 'when completion mode is Indexed'))
  return [...errors, ...validateTemplate(spec), ...(old ? validateUpdate(spec, old.spec) : [])]
}

function validateTemplate({ selector, template }: any): FieldError[] {
  const errors = validateSelector(selector, 'spec.selector')
  const labels = template?.metadata?.labels ?? {}
  if (selector && !errors.length && !selectorMatcher(selector).matches(labels))
    errors.push(invalidValue('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'))
  const policy = template?.spec?.restartPolicy
  const field = 'spec.template.spec.restartPolicy'
  if (policy === 'Always') errors.push(requiredValue(field, 'valid values: "OnFailure", "Never"'))
  else if (policy && !['OnFailure', 'Never'].includes(policy))
    errors.push(notSupported(field, policy, ['OnFailure', 'Never']))
  return [...errors, ...validatePodSpec(template?.spec, 'spec.template.spec')]
}

function validateUpdate(spec: any, old: any): FieldError[] {
  // A suspended Job that never started may still get other node selectors, tolerations and so on.
  const fixed = ['selector', 'completionMode', 'managedBy', ...(old.suspend ? [] : ['template'])]
  // An indexed Job grows and shrinks when completions follow parallelism.
  const elastic = spec.completionMode === 'Indexed' && spec.completions === spec.parallelism
  if (!elastic) fixed.push('completions')
  return fixed.flatMap((field) => immutable(`spec.${field}`, spec[field], old[field]))
}

function stateText({ metadata, spec, status }: ApiObject): string {
  const has = (type: string) =>
    (status?.conditions ?? []).some((condition: any) => condition.type === type && condition.status === 'True')
  if (has('Complete')) return 'Complete'
  if (has('Failed')) return 'Failed'
  if (metadata.deletionTimestamp) return 'Terminating'
  if (has('Suspended') || spec?.suspend) return 'Suspended'
  for (const type of ['FailureTarget', 'SuccessCriteriaMet']) if (has(type)) return type
  return 'Running'
}

function completions({ spec, status }: ApiObject): string {
  const done = status?.succeeded ?? 0
  if (spec?.completions !== undefined) return `${done}/${spec.completions}`
  return spec?.parallelism > 1 ? `${done}/1 of ${spec.parallelism}` : `${done}/1`
}

function duration({ status }: ApiObject, now: number): string {
  if (!status?.startTime) return ''
  const end = status.completionTime ? Date.parse(status.completionTime) : now
  return humanDuration(end - Date.parse(status.startTime))
}

export const job = defineKind({
  group: 'batch',
  version: 'v1',
  kind: 'Job',
  plural: 'jobs',
  singular: 'job',
  categories: ['all'],
  scope: 'Namespaced',
  schema: schemaOf('batch.v1.Job'),
  types,
  subresources: { status: true },
  columns: [
    text('Status', stateText),
    text('Completions', completions),
    text('Duration', duration),
    ageColumn,
    ...templateColumns,
  ],
  defaults,
  prepareCreate: selectOwnPods,
  validate,
  fields: { 'status.successful': (object) => String(object.status?.succeeded ?? 0) },
  // Upstream's default for Jobs, from the time before garbage collection: kubectl always says what it wants.
  defaultPropagation: 'Orphan',
  example: {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'report', namespace: 'default' },
    spec: {
      template: {
        spec: { restartPolicy: 'Never', containers: [{ name: 'report', image: 'busybox:1.36', command: ['date'] }] },
      },
    },
  },
})
