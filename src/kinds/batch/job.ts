// Job: Pods that run until their work is done.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dnsLabelProblems } from '../../api/names.ts'
import { selectorMatcher, validateSelector } from '../../api/selector.ts'
import { ageColumn } from '../../api/table.ts'
import { humanDuration } from '../../api/time.ts'
import { invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { templateColumns, text } from '../columns.ts'
import { immutable } from '../rules/field.ts'
import { schemaOf, types } from '../types.ts'
import { defaultJobSpec } from './job-defaults.ts'
import { validateJobSpec } from './job-rules.ts'
import { validateJobStatus } from './job-status-rules.ts'
import { validateTemplateChange } from './job-template-rules.ts'

function defaults({ metadata, spec }: ApiObject): void {
  if (!spec) return
  defaultJobSpec(spec)
  const labels = spec.template?.metadata?.labels
  if (!metadata.labels && labels && Object.keys(labels).length) metadata.labels = { ...labels }
}

/** Labels that tie Pods to their Job; those without a prefix are older than the rule that they have one. */
const ownLabels = ({ name = '', uid = '' }: ApiObject['metadata']): Record<string, string> => ({
  'batch.kubernetes.io/controller-uid': uid,
  'batch.kubernetes.io/job-name': name,
  'controller-uid': uid,
  'job-name': name,
})

/** The Job's Pods carry its uid, so that no other Job's Pods are taken for its own. */
function selectOwnPods(object: ApiObject): void {
  object.status = {}
  const { metadata, spec } = object
  if (!spec?.template || spec.manualSelector || !metadata.uid) return
  spec.template.metadata ??= {}
  // Labels that contradict are left for the rules to refuse.
  spec.template.metadata.labels = { ...ownLabels(metadata), ...spec.template.metadata.labels }
  const label = 'batch.kubernetes.io/controller-uid'
  spec.selector = { ...spec.selector, matchLabels: { [label]: metadata.uid, ...spec.selector?.matchLabels } }
}

function validate(object: ApiObject, old?: ApiObject, subresource = ''): FieldError[] {
  const { metadata, spec } = object
  if (!spec) return [requiredValue('spec')]
  if (old && subresource === 'status') return validateJobStatus(object, old)
  const errors = [
    ...validateOwnLabels(object, old),
    ...validateJobSpec(spec, 'spec'),
    ...validateSelection(spec),
    ...(old ? validateUpdate(object, old) : []),
  ]
  if (spec.completionMode !== 'Indexed' || !(spec.completions > 0)) return errors
  const host = `${metadata.name}-${spec.completions - 1}`
  if (dnsLabelProblems(host).length)
    errors.push(
      invalidValue('metadata.name', metadata.name, `will not able to create pod with invalid DNS label: ${host}`),
    )
  return errors
}

function validateOwnLabels({ metadata, spec }: ApiObject, old?: ApiObject): FieldError[] {
  if (spec.manualSelector || !spec.selector || !metadata.uid || old) return []
  const field = 'spec.template.metadata.labels'
  const labels = spec.template?.metadata?.labels ?? {}
  const errors = Object.entries(ownLabels(metadata))
    .filter(([name, value]) => labels[name] !== value)
    .map(([name, value]) => invalidValue(field, labels, `must have label ${name}=${value}`))
  if (!validateSelector(spec.selector, '').length && !selectorMatcher(spec.selector).matches(ownLabels(metadata)))
    errors.push(invalidValue('spec.selector', spec.selector, '`selector` not auto-generated'))
  return errors
}

function validateSelection({ selector, template }: any): FieldError[] {
  if (!selector) return [requiredValue('spec.selector')]
  const errors = validateSelector(selector, 'spec.selector')
  const labels = template?.metadata?.labels ?? {}
  if (!errors.length && !selectorMatcher(selector).matches(labels))
    errors.push(invalidValue('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'))
  return errors
}

const fixed = ['selector', 'completionMode', 'podFailurePolicy', 'backoffLimitPerIndex', 'managedBy', 'successPolicy']

function validateUpdate({ spec }: ApiObject, old: ApiObject): FieldError[] {
  const errors = [
    ...validateTemplateChange(spec.template, old),
    ...fixed.flatMap((field) => immutable(`spec.${field}`, spec[field], old.spec[field])),
  ]
  if (spec.completionMode !== 'Indexed')
    errors.push(...immutable('spec.completions', spec.completions, old.spec.completions))
  else if (spec.completions !== undefined && spec.completions !== old.spec.completions) {
    // An indexed Job grows and shrinks when completions follow parallelism.
    if (spec.completions !== spec.parallelism)
      errors.push(
        invalidValue('spec.completions', spec.completions, 'can only be modified in tandem with spec.parallelism'),
      )
  }
  return errors
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
  warnings: ({ metadata }) => {
    const problems = dnsLabelProblems(metadata.name ?? '')
    if (!metadata.name || !problems.length) return []
    return [
      `metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [${problems.join(' ')}]`,
    ]
  },
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
