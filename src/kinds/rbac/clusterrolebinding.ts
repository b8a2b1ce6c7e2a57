// ClusterRoleBinding: gives a ClusterRole to users, groups and service accounts everywhere.

import { defineKind } from '../../api/kind.ts'
import { schemaOf, types } from '../types.ts'
import { bindingColumns } from './rbac-columns.ts'
import { defaultSubjects, rbacGroup, validateBinding } from './rbac-rules.ts'

export const clusterRoleBinding = defineKind({
  group: rbacGroup,
  version: 'v1',
  kind: 'ClusterRoleBinding',
  plural: 'clusterrolebindings',
  singular: 'clusterrolebinding',
  scope: 'Cluster',
  schema: schemaOf('rbac.v1.ClusterRoleBinding'),
  types,
  nameRule: 'path-segment',
  columns: bindingColumns,
  defaults: defaultSubjects,
  validate: (object, old) => validateBinding(object, old, ['ClusterRole']),
  example: {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'admins' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', name: 'deployer', namespace: 'default' }],
  },
})
