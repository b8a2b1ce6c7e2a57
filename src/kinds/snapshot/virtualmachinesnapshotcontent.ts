// VirtualMachineSnapshotContent: what a snapshot holds, the machine as it was written and the claims that were saved.

import { defineKind } from '../../api/kind.ts'
import { schemaOf, types } from '../types.ts'
import { errorColumn, flag, moment } from './columns.ts'

export const virtualMachineSnapshotContent = defineKind({
  group: 'snapshot.kubevirt.io',
  version: 'v1beta1',
  kind: 'VirtualMachineSnapshotContent',
  plural: 'virtualmachinesnapshotcontents',
  singular: 'virtualmachinesnapshotcontent',
  shortNames: ['vmsnapshotcontent', 'vmsnapshotcontents'],
  categories: ['all'],
  scope: 'Namespaced',
  protobuf: false,
  schema: schemaOf('kubevirt.v1beta1.VirtualMachineSnapshotContent'),
  types,
  subresources: { status: true },
  columns: [
    flag('ReadyToUse', ({ status }) => status?.readyToUse),
    moment('CreationTime', ({ status }) => status?.creationTime),
    errorColumn,
  ],
  prepareCreate: (object) => {
    delete object.status
  },
  example: {
    apiVersion: 'snapshot.kubevirt.io/v1beta1',
    kind: 'VirtualMachineSnapshotContent',
    metadata: { name: 'vmsnapshot-content-1', namespace: 'default' },
    spec: {
      virtualMachineSnapshotName: 'before-upgrade',
      source: { virtualMachine: { metadata: { name: 'db', namespace: 'default' } } },
    },
  },
})
