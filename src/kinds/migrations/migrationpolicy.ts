// MigrationPolicy: how the migrations of some instances go. Rules and texts: KubeVirt 1.9 (pkg/virt-api/webhooks,
// migrationpolicy-admitter.go).

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { parseQuantity, quantityMilli } from '../../api/quantity.ts'
import { ageColumn } from '../../api/table.ts'
import { forbidden, invalidValue } from '../../api/walk/rules.ts'
import { schemaOf, types } from '../types.ts'

function isNegative(quantity: string): boolean {
  try {
    return quantityMilli(parseQuantity(quantity)) < 0n
  } catch {
    // The schema says what is wrong with it.
    return false
  }
}

function validate({ spec }: ApiObject): FieldError[] {
  const errors: FieldError[] = []
  const { completionTimeoutPerGiB: timeout, bandwidthPerMigration: bandwidth, allowPostCopy } = spec ?? {}
  if (timeout < 0) errors.push(invalidValue('spec.completionTimeoutPerGiB', timeout, 'must not be negative'))
  if (bandwidth !== undefined && isNegative(bandwidth))
    errors.push(invalidValue('spec.bandwidthPerMigration', bandwidth, 'must not be negative'))
  if (allowPostCopy === true)
    errors.push(forbidden('spec.allowPostCopy', 'post-copy is not supported by Tandem; use allowWorkloadDisruption'))
  return errors
}

export const migrationPolicy = defineKind({
  group: 'migrations.kubevirt.io',
  version: 'v1alpha1',
  kind: 'MigrationPolicy',
  plural: 'migrationpolicies',
  singular: 'migrationpolicy',
  categories: ['all'],
  scope: 'Cluster',
  protobuf: false,
  schema: schemaOf('kubevirt.v1alpha1.MigrationPolicy'),
  types,
  subresources: { status: true },
  columns: [ageColumn],
  validate,
  example: {
    apiVersion: 'migrations.kubevirt.io/v1alpha1',
    kind: 'MigrationPolicy',
    metadata: { name: 'fast' },
    spec: {
      allowAutoConverge: true,
      maxDowntimeMs: 50,
      selectors: { virtualMachineInstanceSelector: { size: 'large' } },
    },
  },
})
