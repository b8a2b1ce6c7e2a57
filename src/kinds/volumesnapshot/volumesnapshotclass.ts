// VolumeSnapshotClass: who takes snapshots, and what becomes of them when they are deleted (external-snapshotter 8.6).

import { defineKind } from '../../api/kind.ts'
import { ageColumn } from '../../api/table.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import { driverWarnings } from './driver-warnings.ts'

export const volumeSnapshotClass = defineKind({
  group: 'snapshot.storage.k8s.io',
  version: 'v1',
  kind: 'VolumeSnapshotClass',
  plural: 'volumesnapshotclasses',
  singular: 'volumesnapshotclass',
  shortNames: ['vsclass', 'vsclasses'],
  scope: 'Cluster',
  protobuf: false,
  schema: schemaOf('volumesnapshot.v1.VolumeSnapshotClass'),
  types,
  columns: [
    text('Driver', (object) => object.driver ?? ''),
    text('DeletionPolicy', (object) => object.deletionPolicy ?? ''),
    ageColumn,
  ],
  warnings: (object) => driverWarnings('driver', object.driver),
  example: {
    apiVersion: 'snapshot.storage.k8s.io/v1',
    kind: 'VolumeSnapshotClass',
    metadata: { name: 'keep' },
    driver: 'tandem.dev/local',
    deletionPolicy: 'Retain',
  },
})
