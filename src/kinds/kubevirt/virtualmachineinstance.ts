// VirtualMachineInstance: a virtual machine that runs (or did run) on this machine.

import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import { validateAnnotations } from './annotation-rules.ts'
import { defaultInstance, identify } from './instance-defaults.ts'
import { validateInstance } from './instance-rules.ts'
import { validateLiveChange } from './live-changes.ts'

const condition = (type: string) => (object: ApiObject) =>
  (object.status?.conditions ?? []).find((entry: any) => entry.type === type)?.status ?? ''

export const virtualMachineInstance = defineKind({
  group: 'kubevirt.io',
  version: 'v1',
  kind: 'VirtualMachineInstance',
  plural: 'virtualmachineinstances',
  singular: 'virtualmachineinstance',
  shortNames: ['vmi', 'vmis'],
  categories: ['all'],
  scope: 'Namespaced',
  protobuf: false,
  schema: schemaOf('kubevirt.v1.VirtualMachineInstance'),
  types,
  subresources: { status: true },
  columns: [
    ageColumn,
    text('Phase', (object) => object.status?.phase ?? ''),
    text('IP', (object) => object.status?.interfaces?.[0]?.ipAddress ?? ''),
    text('NodeName', (object) => object.status?.nodeName ?? ''),
    text('Ready', condition('Ready')),
    text('Live-Migratable', condition('LiveMigratable'), 1),
    text('Paused', condition('Paused'), 1),
  ],
  defaults: defaultInstance,
  prepareCreate(object) {
    object.status = { phase: 'Pending' }
    identify(object.spec)
  },
  prepareUpdate: (object, old) => identify(object.spec, old.spec),
  validate(object, old, subresource) {
    if (!old) return [...validateInstance(object.spec, 'spec'), ...validateAnnotations(object.metadata, 'metadata')]
    // A status is no change of the spec, and one that ends may always end: a newer Tandem may have further defaults.
    if (subresource === 'status' || equalJson(object.spec, old.spec)) return []
    if (old.metadata.deletionTimestamp) return validateInstance(object.spec, 'spec')
    return [...validateLiveChange(object.spec, old.spec, 'spec'), ...validateInstance(object.spec, 'spec')]
  },
  example: {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: { name: 'db', namespace: 'default', labels: { app: 'db' } },
    spec: {
      domain: {
        memory: { guest: '512Mi' },
        devices: {
          disks: [{ name: 'root', disk: { bus: 'virtio' } }],
          interfaces: [{ name: 'default', masquerade: {} }],
        },
      },
      networks: [{ name: 'default', pod: {} }],
      volumes: [{ name: 'root', containerDisk: { image: 'example.com/disks/debian:12' } }],
    },
  },
})
