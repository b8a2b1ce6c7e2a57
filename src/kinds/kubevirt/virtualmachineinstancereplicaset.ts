// VirtualMachineInstanceReplicaSet: keeps a number of identical instances running.

import { defineKind } from '../../api/kind.ts'
import { machineScale, replicaColumns } from '../replicas.ts'
import { schemaOf, types } from '../types.ts'
import { validateAnnotations } from './annotation-rules.ts'
import { validateInstanceSpec } from './instance-rules.ts'
import { validateReplicas } from './replicas-rules.ts'

export const virtualMachineInstanceReplicaSet = defineKind({
  group: 'kubevirt.io',
  version: 'v1',
  kind: 'VirtualMachineInstanceReplicaSet',
  plural: 'virtualmachineinstancereplicasets',
  singular: 'virtualmachineinstancereplicaset',
  shortNames: ['vmirs', 'vmirss'],
  categories: ['all'],
  scope: 'Namespaced',
  protobuf: false,
  schema: schemaOf('kubevirt.v1.VirtualMachineInstanceReplicaSet'),
  types,
  subresources: {
    status: true,
    scale: machineScale,
  },
  columns: replicaColumns(1),
  prepareCreate: (object) => {
    delete object.status
  },
  validate: (object, old) => [
    ...validateReplicas(object, old, 'template'),
    ...validateAnnotations(object.spec?.template?.metadata, 'spec.template.metadata'),
    ...validateInstanceSpec(object.spec?.template?.spec, 'spec.template.spec'),
  ],
  example: {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstanceReplicaSet',
    metadata: { name: 'workers', namespace: 'default' },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: 'worker' } },
      template: {
        metadata: { labels: { app: 'worker' } },
        spec: {
          domain: { memory: { guest: '256Mi' }, devices: { disks: [{ name: 'root', disk: { bus: 'virtio' } }] } },
          volumes: [{ name: 'root', containerDisk: { image: 'example.com/disks/debian:12' } }],
        },
      },
    },
  },
})
