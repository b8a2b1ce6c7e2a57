// ClusterRole: what may be done everywhere, or in each namespace that a RoleBinding names it in.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import { validateSelector } from '../../api/selector.ts'
import { requiredValue } from '../../api/walk/rules.ts'
import { schemaOf, types } from '../types.ts'
import { roleColumns } from './rbac-columns.ts'
import { rbacGroup, validateRules } from './rbac-rules.ts'

function validateAggregation(rule: any): FieldError[] {
  if (!rule) return []
  const selectors: any[] = rule.clusterRoleSelectors ?? []
  const field = 'aggregationRule.clusterRoleSelectors'
  if (selectors.length === 0)
    return [requiredValue(field, 'at least one clusterRoleSelector required if aggregationRule is non-nil')]
  return selectors.flatMap((selector, index) => validateSelector(selector, `${field}[${index}]`))
}

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
  validate: (object) => [...validateRules(object.rules, false), ...validateAggregation(object.aggregationRule)],
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
