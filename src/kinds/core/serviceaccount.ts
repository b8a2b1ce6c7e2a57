// ServiceAccount: who a workload is when it speaks to the API.

import { defineKind } from '../../api/kind.ts'
import { ageColumn } from '../../api/table.ts'
import { integer } from '../columns.ts'
import { schemaOf, types } from '../types.ts'

export const serviceAccount = defineKind({
  group: '',
  version: 'v1',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  singular: 'serviceaccount',
  shortNames: ['sa'],
  scope: 'Namespaced',
  schema: schemaOf('core.v1.ServiceAccount'),
  types,
  columns: [integer('Secrets', (object) => object.secrets?.length ?? 0), ageColumn],
  example: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'deployer', namespace: 'default' } },
})
