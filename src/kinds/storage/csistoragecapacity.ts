// CSIStorageCapacity: how much a storage driver has left in a part of the cluster.

import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dnsSubdomainProblems } from '../../api/names.ts'
import { tryParseQuantity } from '../../api/quantity.ts'
import { validateSelector } from '../../api/selector.ts'
import { invalidValue } from '../../api/walk/rules.ts'
import { text, unset } from '../columns.ts'
import { immutable } from '../rules/field.ts'
import { storedOnly } from '../rules/warnings.ts'
import { schemaOf, types } from '../types.ts'
import { noDriver } from './driver-rules.ts'

function validate(object: ApiObject, old?: ApiObject) {
  const { nodeTopology, storageClassName = '', capacity } = object
  const errors = [
    ...validateSelector(nodeTopology, 'nodeTopology'),
    ...dnsSubdomainProblems(storageClassName).map((problem) =>
      invalidValue('storageClassName', storageClassName, problem),
    ),
  ]
  const amount = capacity === undefined ? undefined : tryParseQuantity(String(capacity))
  if (amount && amount.nanos < 0n)
    errors.push(invalidValue('capacity', String(capacity), 'must be greater than or equal to 0'))
  if (!old) return errors
  return [
    ...errors,
    ...immutable('nodeTopology', nodeTopology, old.nodeTopology),
    ...immutable('storageClassName', storageClassName, old.storageClassName),
  ]
}

export const csiStorageCapacity = defineKind({
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'CSIStorageCapacity',
  listKind: 'CSIStorageCapacityList',
  plural: 'csistoragecapacities',
  singular: 'csistoragecapacity',
  scope: 'Namespaced',
  schema: schemaOf('storage.v1.CSIStorageCapacity'),
  types,
  columns: [
    text('StorageClassName', (object) => object.storageClassName ?? ''),
    text('Capacity', (object) => object.capacity ?? unset),
  ],
  validate,
  warnings: storedOnly('CSIStorageCapacity', noDriver),
  example: {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'CSIStorageCapacity',
    metadata: { name: 'disks-machine', namespace: 'default' },
    storageClassName: 'disks',
    capacity: '100Gi',
  },
})
