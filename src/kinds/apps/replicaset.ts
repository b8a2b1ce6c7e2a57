// ReplicaSet: keeps a number of identical Pods running.

import { defineKind } from '../../api/kind.ts'
import { templateColumns } from '../columns.ts'
import { defaultPodSpec } from '../core/pod-defaults.ts'
import { replicaColumns, replicasScale } from '../replicas.ts'
import { schemaOf, types } from '../types.ts'
import { validateReplicated } from './template-rules.ts'

export const replicaSet = defineKind({
  group: 'apps',
  version: 'v1',
  kind: 'ReplicaSet',
  plural: 'replicasets',
  singular: 'replicaset',
  shortNames: ['rs'],
  categories: ['all'],
  scope: 'Namespaced',
  schema: schemaOf('apps.v1.ReplicaSet'),
  types,
  subresources: {
    status: true,
    scale: replicasScale,
  },
  columns: [...replicaColumns(0), ...templateColumns],
  defaults: (object) => defaultPodSpec(object.spec?.template?.spec),
  prepareCreate(object) {
    object.status = { replicas: 0 }
  },
  validate: (object, old) => validateReplicated(object.spec, old?.spec, 'replicaset'),
  fields: { 'status.replicas': (object) => String(object.status?.replicas ?? 0) },
  example: {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name: 'web-7d4', namespace: 'default' },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'web', image: 'nginx:1.27' }] },
      },
    },
  },
})
