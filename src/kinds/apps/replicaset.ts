// ReplicaSet: keeps a number of identical Pods running.

import { defineKind } from '../../api/kind.ts'
import { ageColumn } from '../../api/table.ts'
import { integer, specSelectorText, templateColumns } from '../columns.ts'
import { defaultPodSpec } from '../core/pod-defaults.ts'
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
    scale: {
      specReplicasPath: '.spec.replicas',
      statusReplicasPath: '.status.replicas',
      selector: (object) => specSelectorText(object.spec?.selector),
    },
  },
  columns: [
    integer('Desired', (object) => object.spec?.replicas ?? 0),
    integer('Current', (object) => object.status?.replicas ?? 0),
    integer('Ready', (object) => object.status?.readyReplicas ?? 0),
    ageColumn,
    ...templateColumns,
  ],
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
