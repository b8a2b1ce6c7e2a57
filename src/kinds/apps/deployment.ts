// Deployment: keeps replicas of a Pod template running and rolls changes out.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { forbidden, invalidValue } from '../../api/walk/rules.ts'
import { integer, templateColumns, text } from '../columns.ts'
import { defaultPodSpec } from '../core/pod-defaults.ts'
import { replicasScale } from '../replicas.ts'
import { isZeroShare, notMoreThanAll, validateCount, validateShare } from '../rules/share.ts'
import { schemaOf, types } from '../types.ts'
import { validateReplicated } from './template-rules.ts'

function defaults({ spec }: ApiObject): void {
  if (!spec) return
  defaultPodSpec(spec.template?.spec)
  spec.strategy ??= {}
  spec.strategy.type ||= 'RollingUpdate'
  if (spec.strategy.type !== 'RollingUpdate') return
  spec.strategy.rollingUpdate ??= {}
  spec.strategy.rollingUpdate.maxUnavailable ??= '25%'
  spec.strategy.rollingUpdate.maxSurge ??= '25%'
}

function validateStrategy(strategy: any = {}): FieldError[] {
  const field = 'spec.strategy.rollingUpdate'
  const { type, rollingUpdate } = strategy
  if (type === 'Recreate')
    return rollingUpdate ? [forbidden(field, "may not be specified when strategy `type` is 'Recreate'")] : []
  if (!rollingUpdate) return []
  const { maxUnavailable, maxSurge } = rollingUpdate
  const errors = [
    ...validateShare(`${field}.maxUnavailable`, maxUnavailable),
    ...validateShare(`${field}.maxSurge`, maxSurge),
    ...notMoreThanAll(`${field}.maxUnavailable`, maxUnavailable),
  ]
  if (isZeroShare(maxUnavailable) && isZeroShare(maxSurge))
    errors.push(invalidValue(`${field}.maxUnavailable`, maxUnavailable, 'may not be 0 when `maxSurge` is 0'))
  return errors
}

function validate({ spec }: ApiObject, old?: ApiObject): FieldError[] {
  if (!spec) return []
  const errors = [
    ...validateReplicated(spec, old?.spec, 'deployment'),
    ...validateStrategy(spec.strategy),
    ...validateCount('spec.revisionHistoryLimit', spec.revisionHistoryLimit),
    ...validateCount('spec.progressDeadlineSeconds', spec.progressDeadlineSeconds),
  ]
  if (spec.progressDeadlineSeconds <= (spec.minReadySeconds ?? 0))
    errors.push(
      invalidValue(
        'spec.progressDeadlineSeconds',
        spec.progressDeadlineSeconds,
        'must be greater than minReadySeconds',
      ),
    )
  return errors
}

export const deployment = defineKind({
  group: 'apps',
  version: 'v1',
  kind: 'Deployment',
  plural: 'deployments',
  singular: 'deployment',
  shortNames: ['deploy'],
  categories: ['all'],
  scope: 'Namespaced',
  schema: schemaOf('apps.v1.Deployment'),
  types,
  subresources: {
    status: true,
    scale: replicasScale,
  },
  columns: [
    text('Ready', ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`),
    integer('Up-to-date', (object) => object.status?.updatedReplicas ?? 0),
    integer('Available', (object) => object.status?.availableReplicas ?? 0),
    ageColumn,
    ...templateColumns,
  ],
  defaults,
  prepareCreate(object) {
    object.status = {}
  },
  validate,
  example: {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'web', image: 'nginx:1.27' }] },
      },
    },
  },
})
