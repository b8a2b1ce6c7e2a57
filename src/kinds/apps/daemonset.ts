// DaemonSet: one Pod on every node that fits.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { applyDefaults } from '../../api/walk/defaults.ts'
import { copyJson, equalJson } from '../../api/walk/plain.ts'
import { invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { objectShape } from '../../api/walk/shape.ts'
import { formatLabels, integer, templateColumns, text } from '../columns.ts'
import { defaultPodSpec } from '../core/pod-defaults.ts'
import { immutable } from '../rules/field.ts'
import { isZeroShare, notMoreThanAll, validateCount, validateShare } from '../rules/share.ts'
import { schemaOf, types } from '../types.ts'
import { validateOwnSelector, validateTemplate } from './template-rules.ts'

/** Where apps/v1 keeps the number of template changes that older versions had as a field. */
const generationAnnotation = 'deprecated.daemonset.template.generation'

function defaults({ spec }: ApiObject): void {
  if (!spec) return
  defaultPodSpec(spec.template?.spec)
  spec.updateStrategy ??= {}
  spec.updateStrategy.type ||= 'RollingUpdate'
  if (spec.updateStrategy.type !== 'RollingUpdate') return
  spec.updateStrategy.rollingUpdate ??= {}
  spec.updateStrategy.rollingUpdate.maxUnavailable ??= 1
  spec.updateStrategy.rollingUpdate.maxSurge ??= 0
}

/** The template as it will be stored: a default that a client left out is no change. */
function completedTemplate(object: ApiObject): unknown {
  const completed = copyJson<ApiObject>({ ...object, metadata: {}, status: {} })
  applyDefaults(completed, objectShape(daemonSet))
  defaults(completed)
  return completed.spec?.template
}

const noStatus = () => ({
  currentNumberScheduled: 0,
  numberMisscheduled: 0,
  desiredNumberScheduled: 0,
  numberReady: 0,
})

const templateGeneration = (object: ApiObject): number =>
  Number.parseInt(object.metadata.annotations?.[generationAnnotation] ?? '', 10) || 0

function setGeneration(object: ApiObject, generation: number): void {
  object.metadata.annotations = { ...object.metadata.annotations, [generationAnnotation]: String(generation) }
}

function validateStrategy({ type, rollingUpdate }: any): FieldError[] {
  if (type !== 'RollingUpdate') return []
  const field = 'spec.updateStrategy.rollingUpdate'
  if (!rollingUpdate) return [requiredValue(field)]
  const { maxUnavailable, maxSurge } = rollingUpdate
  const errors = [
    ...validateShare(`${field}.maxUnavailable`, maxUnavailable),
    ...validateShare(`${field}.maxSurge`, maxSurge),
    ...notMoreThanAll(`${field}.maxUnavailable`, maxUnavailable),
    ...notMoreThanAll(`${field}.maxSurge`, maxSurge),
  ]
  const [noneUnavailable, noSurge] = [isZeroShare(maxUnavailable), isZeroShare(maxSurge)]
  if (!noneUnavailable && !noSurge)
    errors.push(invalidValue(`${field}.maxSurge`, maxSurge, 'may not be set when maxUnavailable is non-zero'))
  if (noneUnavailable && noSurge)
    errors.push(requiredValue(`${field}.maxUnavailable`, 'cannot be 0 when maxSurge is 0'))
  return errors
}

function validate({ spec }: ApiObject, old?: ApiObject): FieldError[] {
  if (!spec) return []
  const selectorErrors = validateOwnSelector(spec.selector, 'daemonset')
  return [
    ...(old ? immutable('spec.selector', spec.selector, old.spec?.selector) : []),
    ...selectorErrors,
    ...validateTemplate(spec, selectorErrors.length === 0, 'DaemonSet'),
    ...validateCount('spec.minReadySeconds', spec.minReadySeconds),
    ...validateStrategy(spec.updateStrategy ?? {}),
    ...validateCount('spec.revisionHistoryLimit', spec.revisionHistoryLimit),
  ]
}

export const daemonSet = defineKind({
  group: 'apps',
  version: 'v1',
  kind: 'DaemonSet',
  plural: 'daemonsets',
  singular: 'daemonset',
  shortNames: ['ds'],
  categories: ['all'],
  scope: 'Namespaced',
  schema: schemaOf('apps.v1.DaemonSet'),
  types,
  subresources: { status: true },
  columns: [
    integer('Desired', (object) => object.status?.desiredNumberScheduled ?? 0),
    integer('Current', (object) => object.status?.currentNumberScheduled ?? 0),
    integer('Ready', (object) => object.status?.numberReady ?? 0),
    integer('Up-to-date', (object) => object.status?.updatedNumberScheduled ?? 0),
    integer('Available', (object) => object.status?.numberAvailable ?? 0),
    text('Node Selector', (object) => formatLabels(object.spec?.template?.spec?.nodeSelector)),
    ageColumn,
    ...templateColumns,
  ],
  defaults,
  prepareCreate(object) {
    object.status = noStatus()
    setGeneration(object, Math.max(templateGeneration(object), 1))
  },
  prepareUpdate(object, old, subresource) {
    const changed = subresource === '' && !equalJson(completedTemplate(object), old.spec?.template)
    setGeneration(object, templateGeneration(old) + (changed ? 1 : 0))
  },
  validate,
  example: {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'agent', namespace: 'default' },
    spec: {
      selector: { matchLabels: { app: 'agent' } },
      template: {
        metadata: { labels: { app: 'agent' } },
        spec: { containers: [{ name: 'agent', image: 'busybox:1.36', command: ['sleep', '86400'] }] },
      },
    },
  },
})
