// NodeMetrics and PodMetrics: what is used right now. Answered, never stored.

import { defineKind } from '../../api/kind.ts'
import { schemaOf, types } from '../types.ts'

const group = 'metrics.k8s.io'
const version = 'v1beta1'
const sample = { timestamp: '2026-01-01T00:00:00Z', window: '10s' }
const usage = { cpu: '100m', memory: '64Mi' }

export const nodeMetrics = defineKind({
  group,
  version,
  kind: 'NodeMetrics',
  plural: 'nodes',
  singular: '',
  scope: 'Cluster',
  schema: schemaOf('metrics.v1beta1.NodeMetrics'),
  types,
  verbs: ['get', 'list'],
  columns: [],
  example: { apiVersion: `${group}/${version}`, kind: 'NodeMetrics', metadata: { name: 'machine' }, ...sample, usage },
})

export const podMetrics = defineKind({
  group,
  version,
  kind: 'PodMetrics',
  plural: 'pods',
  singular: '',
  scope: 'Namespaced',
  schema: schemaOf('metrics.v1beta1.PodMetrics'),
  types,
  verbs: ['get', 'list'],
  columns: [],
  example: {
    apiVersion: `${group}/${version}`,
    kind: 'PodMetrics',
    metadata: { name: 'web', namespace: 'default' },
    ...sample,
    containers: [{ name: 'web', usage }],
  },
})
