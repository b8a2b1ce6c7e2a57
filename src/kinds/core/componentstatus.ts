// ComponentStatus: whether the parts of the control plane are well. Answered, never stored.

import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'

const healthy = ({ conditions }: ApiObject): any =>
  (conditions ?? []).find((condition: { type: string }) => condition.type === 'Healthy')

function state(object: ApiObject): string {
  const condition = healthy(object)
  if (!condition) return 'Unknown'
  return condition.status === 'True' ? 'Healthy' : 'Unhealthy'
}

export const componentStatus = defineKind({
  group: '',
  version: 'v1',
  kind: 'ComponentStatus',
  plural: 'componentstatuses',
  singular: 'componentstatus',
  shortNames: ['cs'],
  scope: 'Cluster',
  schema: schemaOf('core.v1.ComponentStatus'),
  types,
  verbs: ['get', 'list'],
  columns: [
    text('Status', state),
    text('Message', (object) => healthy(object)?.message ?? ''),
    text('Error', (object) => healthy(object)?.error ?? ''),
  ],
  example: {
    apiVersion: 'v1',
    kind: 'ComponentStatus',
    metadata: { name: 'scheduler' },
    conditions: [{ type: 'Healthy', status: 'True', message: 'ok' }],
  },
})
