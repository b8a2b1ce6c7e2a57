// StorageClass: a way in which claims get their volumes.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { notSupported } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { immutable } from '../rules/field.ts'
import { schemaOf, types } from '../types.ts'
import { validateParameters, validateProvisioner } from './driver-rules.ts'

const defaultMarks = ['storageclass.kubernetes.io/is-default-class', 'storageclass.beta.kubernetes.io/is-default-class']

function name({ metadata }: ApiObject): string {
  const isDefault = defaultMarks.some((mark) => metadata.annotations?.[mark] === 'true')
  return isDefault ? `${metadata.name} (default)` : (metadata.name ?? '')
}

function validate(object: ApiObject, old?: ApiObject): FieldError[] {
  const errors: FieldError[] = []
  errors.push(
    ...validateProvisioner(object.provisioner, 'provisioner'),
    ...validateParameters(object.parameters, false),
  )
  if (object.reclaimPolicy && !['Delete', 'Retain'].includes(object.reclaimPolicy))
    errors.push(notSupported('reclaimPolicy', object.reclaimPolicy, ['Delete', 'Retain']))
  if (!old) return errors
  for (const field of ['parameters', 'provisioner', 'reclaimPolicy', 'volumeBindingMode'])
    errors.push(...immutable(field, object[field], old[field]))
  return errors
}

export const storageClass = defineKind({
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'StorageClass',
  plural: 'storageclasses',
  singular: 'storageclass',
  shortNames: ['sc'],
  scope: 'Cluster',
  schema: schemaOf('storage.v1.StorageClass'),
  types,
  columns: [
    text('Name', name),
    text('Provisioner', (object) => object.provisioner ?? ''),
    text('ReclaimPolicy', (object) => object.reclaimPolicy ?? 'Delete'),
    text('VolumeBindingMode', (object) => object.volumeBindingMode ?? '<unset>'),
    { name: 'AllowVolumeExpansion', type: 'boolean', value: (object) => object.allowVolumeExpansion ?? false },
    ageColumn,
  ],
  validate,
  example: {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: 'fast' },
    provisioner: 'example.com/disks',
    volumeBindingMode: 'WaitForFirstConsumer',
  },
})
