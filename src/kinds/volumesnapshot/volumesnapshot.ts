// VolumeSnapshot: a volume as it is at this moment, or a name for a snapshot that is there already (external-snapshotter
// 8.6, client/apis/volumesnapshot/v1).

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { invalidValue } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { flag, moment } from '../snapshot/columns.ts'
import { schemaOf, types } from '../types.ts'
import { oneOfTwo } from './source-rules.ts'

function validate({ spec }: ApiObject, old?: ApiObject): FieldError[] {
  const { source, volumeSnapshotClassName: name } = spec ?? {}
  const errors = oneOfTwo('spec.source', source, old?.spec?.source, [
    'volumeSnapshotContentName',
    'persistentVolumeClaimName',
  ])
  if (name === '')
    errors.push(
      invalidValue(
        'spec.volumeSnapshotClassName',
        name,
        'volumeSnapshotClassName must not be the empty string when set',
      ),
    )
  return errors
}

export const volumeSnapshot = defineKind({
  group: 'snapshot.storage.k8s.io',
  version: 'v1',
  kind: 'VolumeSnapshot',
  plural: 'volumesnapshots',
  singular: 'volumesnapshot',
  shortNames: ['vs'],
  scope: 'Namespaced',
  protobuf: false,
  schema: schemaOf('volumesnapshot.v1.VolumeSnapshot'),
  types,
  subresources: { status: true },
  columns: [
    flag('ReadyToUse', ({ status }) => status?.readyToUse),
    text('SourcePVC', ({ spec }) => spec?.source?.persistentVolumeClaimName ?? ''),
    text('SourceSnapshotContent', ({ spec }) => spec?.source?.volumeSnapshotContentName ?? ''),
    text('RestoreSize', ({ status }) => status?.restoreSize ?? ''),
    text('SnapshotClass', ({ spec }) => spec?.volumeSnapshotClassName ?? ''),
    text('SnapshotContent', ({ status }) => status?.boundVolumeSnapshotContentName ?? ''),
    moment('CreationTime', ({ status }) => status?.creationTime),
    ageColumn,
  ],
  prepareCreate: (object) => {
    delete object.status
  },
  validate,
  example: {
    apiVersion: 'snapshot.storage.k8s.io/v1',
    kind: 'VolumeSnapshot',
    metadata: { name: 'db-monday', namespace: 'default' },
    spec: { source: { persistentVolumeClaimName: 'db' } },
  },
})
