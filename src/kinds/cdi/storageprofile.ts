// StorageProfile: what a DataVolume gets of a StorageClass when it does not say itself.

import { defineKind } from '../../api/kind.ts'
import { ageColumn } from '../../api/table.ts'
import { forbidden } from '../../api/walk/rules.ts'
import { schemaOf, types } from '../types.ts'

export const storageProfile = defineKind({
  group: 'cdi.kubevirt.io',
  version: 'v1beta1',
  kind: 'StorageProfile',
  plural: 'storageprofiles',
  singular: 'storageprofile',
  scope: 'Cluster',
  protobuf: false,
  schema: schemaOf('cdi.v1beta1.StorageProfile'),
  types,
  subresources: { status: true },
  columns: [ageColumn],
  validate: ({ spec }) =>
    ['cloneStrategy', 'snapshotClass', 'dataImportCronSourceFormat']
      .filter((name) => spec?.[name] && spec[name] !== 'copy' && spec[name] !== 'pvc')
      .map((name) => forbidden(`spec.${name}`, 'volumes are cloned by copying here: only copy and pvc are possible')),
  example: {
    apiVersion: 'cdi.kubevirt.io/v1beta1',
    kind: 'StorageProfile',
    metadata: { name: 'local' },
    spec: { claimPropertySets: [{ accessModes: ['ReadWriteOnce'], volumeMode: 'Filesystem' }] },
  },
})
