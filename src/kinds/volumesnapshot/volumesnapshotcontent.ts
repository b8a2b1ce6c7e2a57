// VolumeSnapshotContent: the snapshot itself, as the storage has it (external-snapshotter 8.6).

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { invalidValue } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { flag } from '../snapshot/columns.ts'
import { schemaOf, types } from '../types.ts'
import { driverWarnings } from './driver-warnings.ts'
import { oneOfTwo } from './source-rules.ts'

function validate({ spec }: ApiObject, old?: ApiObject): FieldError[] {
  const { source, volumeSnapshotRef: reference, sourceVolumeMode: mode } = spec ?? {}
  const errors = oneOfTwo('spec.source', source, old?.spec?.source, ['volumeHandle', 'snapshotHandle'])
  if (reference && (reference.name === undefined || reference.namespace === undefined))
    errors.push(
      invalidValue(
        'spec.volumeSnapshotRef',
        reference,
        'both spec.volumeSnapshotRef.name and spec.volumeSnapshotRef.namespace must be set',
      ),
    )
  const before = old?.spec?.sourceVolumeMode
  if (before !== undefined && mode === undefined)
    errors.push(invalidValue('spec', spec, 'sourceVolumeMode is required once set'))
  else if (before !== undefined && mode !== before)
    errors.push(invalidValue('spec.sourceVolumeMode', mode, 'sourceVolumeMode is immutable'))
  return errors
}

export const volumeSnapshotContent = defineKind({
  group: 'snapshot.storage.k8s.io',
  version: 'v1',
  kind: 'VolumeSnapshotContent',
  plural: 'volumesnapshotcontents',
  singular: 'volumesnapshotcontent',
  shortNames: ['vsc', 'vscs'],
  scope: 'Cluster',
  protobuf: false,
  schema: schemaOf('volumesnapshot.v1.VolumeSnapshotContent'),
  types,
  subresources: { status: true },
  columns: [
    flag('ReadyToUse', ({ status }) => status?.readyToUse),
    { name: 'RestoreSize', type: 'integer', value: ({ status }) => status?.restoreSize ?? '' },
    text('DeletionPolicy', ({ spec }) => spec?.deletionPolicy ?? ''),
    text('Driver', ({ spec }) => spec?.driver ?? ''),
    text('VolumeSnapshotClass', ({ spec }) => spec?.volumeSnapshotClassName ?? ''),
    text('VolumeSnapshot', ({ spec }) => spec?.volumeSnapshotRef?.name ?? ''),
    text('VolumeSnapshotNamespace', ({ spec }) => spec?.volumeSnapshotRef?.namespace ?? ''),
    ageColumn,
  ],
  prepareCreate: (object) => {
    delete object.status
  },
  validate,
  warnings: ({ spec }) => driverWarnings('spec.driver', spec?.driver),
  example: {
    apiVersion: 'snapshot.storage.k8s.io/v1',
    kind: 'VolumeSnapshotContent',
    metadata: { name: 'kept' },
    spec: {
      deletionPolicy: 'Retain',
      driver: 'tandem.dev/local',
      source: { snapshotHandle: 'snapshot-0f8f8a2e-53f0-4d43-b1bd-27f4d0f51d0c' },
      volumeSnapshotRef: { name: 'db-again', namespace: 'default' },
    },
  },
})
