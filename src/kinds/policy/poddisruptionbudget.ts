// PodDisruptionBudget: how many of some Pods must stay when others are evicted.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { validateSelector } from '../../api/selector.ts'
import { ageColumn } from '../../api/table.ts'
import { invalidValue } from '../../api/walk/rules.ts'
import { integer, text } from '../columns.ts'
import { notMoreThanAll, validateCount, validateShare } from '../rules/share.ts'
import { schemaOf, types } from '../types.ts'

const statusCounts = ['disruptionsAllowed', 'currentHealthy', 'desiredHealthy', 'expectedPods']

function validate({ spec = {}, status = {} }: ApiObject): FieldError[] {
  const { minAvailable, maxUnavailable } = spec
  const errors: FieldError[] = []
  if (minAvailable !== undefined && maxUnavailable !== undefined)
    errors.push(invalidValue('spec', spec, 'minAvailable and maxUnavailable cannot be both set'))
  for (const field of ['minAvailable', 'maxUnavailable'])
    errors.push(...validateShare(`spec.${field}`, spec[field]), ...notMoreThanAll(`spec.${field}`, spec[field]))
  errors.push(...validateSelector(spec.selector, 'spec.selector'))
  for (const field of statusCounts) errors.push(...validateCount(`status.${field}`, status[field]))
  return errors
}

const shareText = (value: unknown): string => (value === undefined ? 'N/A' : String(value))

export const podDisruptionBudget = defineKind({
  group: 'policy',
  version: 'v1',
  kind: 'PodDisruptionBudget',
  plural: 'poddisruptionbudgets',
  singular: 'poddisruptionbudget',
  shortNames: ['pdb'],
  scope: 'Namespaced',
  schema: schemaOf('policy.v1.PodDisruptionBudget'),
  types,
  subresources: { status: true },
  columns: [
    text('Min Available', (object) => shareText(object.spec?.minAvailable)),
    text('Max Unavailable', (object) => shareText(object.spec?.maxUnavailable)),
    integer('Allowed Disruptions', (object) => object.status?.disruptionsAllowed ?? 0),
    ageColumn,
  ],
  prepareCreate(object) {
    object.status = { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 }
  },
  validate,
  example: {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: 'web', namespace: 'default' },
    spec: { minAvailable: 2, selector: { matchLabels: { app: 'web' } } },
  },
})
