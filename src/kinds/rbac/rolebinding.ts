// RoleBinding: gives a role to users, groups and service accounts in one namespace.

import { defineKind } from '../../api/kind.ts'
import { schemaOf, types } from '../types.ts'
import { bindingColumns } from './rbac-columns.ts'
import { defaultSubjects, rbacGroup, validateBinding } from './rbac-rules.ts'

export const roleBinding = defineKind({
  group: rbacGroup,
  version: 'v1',
  kind: 'RoleBinding',
  plural: 'rolebindings',
  singular: 'rolebinding',
  scope: 'Namespaced',
  schema: schemaOf('rbac.v1.RoleBinding'),
  types,
  nameRule: 'path-segment',
  columns: bindingColumns,
  defaults: defaultSubjects,
  validate: (object, old) => validateBinding(object, old, ['ClusterRole', 'Role']),
  example: {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'readers', namespace: 'default' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' },
    subjects: [{ kind: 'User', name: 'jane' }],
  },
})
