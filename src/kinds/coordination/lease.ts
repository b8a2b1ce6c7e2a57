// Lease: who holds something now, and until when; leader election and node heartbeats use it.

import { defineKind } from '../../api/kind.ts'
import { ageColumn } from '../../api/table.ts'
import { invalidValue } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'

export const lease = defineKind({
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',
  singular: 'lease',
  scope: 'Namespaced',
  schema: schemaOf('coordination.v1.Lease'),
  types,
  hasGeneration: false,
  columns: [text('Holder', (object) => object.spec?.holderIdentity ?? ''), ageColumn],
  validate({ spec = {} }) {
    const errors = []
    if (spec.leaseDurationSeconds !== undefined && spec.leaseDurationSeconds <= 0)
      errors.push(invalidValue('spec.leaseDurationSeconds', spec.leaseDurationSeconds, 'must be greater than 0'))
    if (spec.leaseTransitions < 0)
      errors.push(invalidValue('spec.leaseTransitions', spec.leaseTransitions, 'must be greater than or equal to 0'))
    return errors
  },
  example: {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'machine', namespace: 'kube-node-lease' },
    spec: { holderIdentity: 'machine', leaseDurationSeconds: 40, renewTime: '2026-01-01T00:00:00.000000Z' },
  },
})
