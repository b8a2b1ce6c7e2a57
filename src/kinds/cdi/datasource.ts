// DataSource: a name for where the current data is, so that a DataVolume need not know the newest claim.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { invalidValue } from '../../api/walk/rules.ts'
import { schemaOf, types } from '../types.ts'

function validate({ spec }: ApiObject): FieldError[] {
  const source = spec?.source ?? {}
  const given = ['pvc', 'snapshot', 'dataSource'].filter((name) => source[name])
  return given.length > 1 ? [invalidValue('spec.source', given.join(', '), 'Multiple Data Source sources')] : []
}

export const dataSource = defineKind({
  group: 'cdi.kubevirt.io',
  version: 'v1beta1',
  kind: 'DataSource',
  plural: 'datasources',
  singular: 'datasource',
  shortNames: ['das'],
  categories: ['all'],
  scope: 'Namespaced',
  protobuf: false,
  schema: schemaOf('cdi.v1beta1.DataSource'),
  types,
  columns: [ageColumn],
  validate,
  example: {
    apiVersion: 'cdi.kubevirt.io/v1beta1',
    kind: 'DataSource',
    metadata: { name: 'debian', namespace: 'default' },
    spec: { source: { pvc: { name: 'debian-12', namespace: 'default' } } },
  },
})
