// Role: what may be done in one namespace.

import { defineKind } from '../../api/kind.ts'
import { schemaOf, types } from '../types.ts'
import { roleColumns } from './rbac-columns.ts'
import { rbacGroup, validateRules } from './rbac-rules.ts'

export const role = defineKind({
  group: rbacGroup,
  version: 'v1',
  kind: 'Role',
  plural: 'roles',
  singular: 'role',
  scope: 'Namespaced',
  schema: schemaOf('rbac.v1.Role'),
  types,
  nameRule: 'path-segment',
  columns: roleColumns,
  validate: (object) => validateRules(object.rules, true),
  example: {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name: 'reader', namespace: 'default' },
    rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] }],
  },
})
