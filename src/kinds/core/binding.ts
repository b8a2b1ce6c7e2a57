// Binding: a scheduler's word which node a Pod runs on. Taken, never stored.

import { defineKind } from '../../api/kind.ts'
import { schemaOf, types } from '../types.ts'

export const binding = defineKind({
  group: '',
  version: 'v1',
  kind: 'Binding',
  plural: 'bindings',
  singular: 'binding',
  scope: 'Namespaced',
  schema: schemaOf('core.v1.Binding'),
  types,
  virtual: true,
  columns: [],
  example: {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name: 'web', namespace: 'default' },
    target: { apiVersion: 'v1', kind: 'Node', name: 'machine' },
  },
})
