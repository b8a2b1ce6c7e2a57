// ClusterRole: what may be done everywhere, or in each namespace that a RoleBinding names it in.

import { defineKind } from '../../api/kind.ts'
import { schemaOf, types } from '../types.ts'
import { roleColumns } from './rbac-columns.ts'
import { rbacGroup, validateRules } from './rbac-rules.ts'

export const clusterRole = defineKind({
  group: rbacGroup,
  version: 'v1',
  kind: 'ClusterRole',
  plural: 'clusterroles',
  singular: 'clusterrole',
  scope: 'Cluster',
  schema: schemaOf('rbac.v1.ClusterRole'),
  types,
  nameRule: 'path-segment',
  columns: roleColumns,
  validate: (object) => validateRules(object.rules, false),
  example: {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'node-reader' },
    rules: [
      { apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list', 'watch'] },
      { nonResourceURLs: ['/version'], verbs: ['get'] },
    ],
  },
})
