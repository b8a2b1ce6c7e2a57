// DataVolume: a claim together with what is to be in it.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden } from '../../api/walk/rules.ts'
import { integer, text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import { dataVolumeWarnings, validateDataVolumeSpec } from './data-volume-rules.ts'

function validate(object: ApiObject, old?: ApiObject): FieldError[] {
  if (old)
    return equalJson(object.spec, old.spec) ? [] : [forbidden('DataVolume.Spec', 'Cannot update DataVolume Spec')]
  return validateDataVolumeSpec(object.spec, 'spec')
}

export const dataVolume = defineKind({
  group: 'cdi.kubevirt.io',
  version: 'v1beta1',
  kind: 'DataVolume',
  plural: 'datavolumes',
  singular: 'datavolume',
  shortNames: ['dv', 'dvs'],
  categories: ['all'],
  scope: 'Namespaced',
  protobuf: false,
  schema: schemaOf('cdi.v1beta1.DataVolume'),
  types,
  subresources: { status: true },
  columns: [
    text('Phase', (object) => object.status?.phase ?? ''),
    text('Progress', (object) => object.status?.progress ?? ''),
    integer('Restarts', (object) => object.status?.restartCount ?? ''),
    ageColumn,
  ],
  prepareCreate: (object) => {
    delete object.status
  },
  validate,
  warnings: ({ spec }, old) => (old ? [] : dataVolumeWarnings(spec, 'spec')),
  example: {
    apiVersion: 'cdi.kubevirt.io/v1beta1',
    kind: 'DataVolume',
    metadata: { name: 'debian', namespace: 'default' },
    spec: {
      source: { http: { url: 'https://example.com/debian-12.qcow2' } },
      storage: { resources: { requests: { storage: '5Gi' } } },
    },
  },
})
