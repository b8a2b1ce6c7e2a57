// ResourceQuota: how much a namespace may hold.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { invalidValue } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import { checkQuotaAmounts } from './quota-names.ts'
import { validateScopeSelector, validateScopes } from './quota-scopes.ts'

function validate(object: ApiObject, old?: ApiObject): FieldError[] {
  const { spec = {}, status = {} } = object
  const errors = [
    ...checkQuotaAmounts(spec.hard, 'spec.hard'),
    ...validateScopes(spec, 'spec'),
    ...validateScopeSelector(spec, 'spec'),
    ...checkQuotaAmounts(status.hard, 'status.hard'),
    ...checkQuotaAmounts(status.used, 'status.used'),
  ]
  const scopes = (one: ApiObject): string => [...(one.spec?.scopes ?? [])].sort().join()
  if (old && scopes(old) !== scopes(object))
    errors.push(invalidValue('spec.scopes', spec.scopes ?? null, 'field is immutable'))
  return errors
}

/** 'pods: 1/5, cpu: 500m/2' of the limits, or of everything else. */
const shown = (limits: boolean) => (object: ApiObject) => {
  const { hard = {}, used = {} } = object.status ?? {}
  return Object.keys(hard)
    .filter((name) => name.startsWith('limits.') === limits)
    .sort()
    .map((name) => `${name}: ${used[name] ?? '0'}/${hard[name]}`)
    .join(', ')
}

export const resourceQuota = defineKind({
  group: '',
  version: 'v1',
  kind: 'ResourceQuota',
  plural: 'resourcequotas',
  singular: 'resourcequota',
  shortNames: ['quota'],
  scope: 'Namespaced',
  schema: schemaOf('core.v1.ResourceQuota'),
  types,
  subresources: { status: true },
  hasGeneration: false,
  columns: [text('Request', shown(false)), text('Limit', shown(true)), ageColumn],
  validate,
  example: {
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name: 'team', namespace: 'shop' },
    spec: { hard: { pods: '10', 'requests.cpu': '4', 'limits.memory': '8Gi' } },
  },
})
