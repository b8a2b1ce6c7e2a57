// ClusterRoles with an aggregation rule get the rules of the roles that it selects (pkg/controller/clusterroleaggregation,
// 1.36). Any role may be a part of any aggregated one, so each change looks at all of the latter.

import type { ResourceRef } from '../api/meta.ts'
import { aggregatedRules } from '../kinds/rbac/aggregation.ts'
import { type ControllerDefinition, reconcileOn } from './controller.ts'
import { semanticallyEqual } from './equality.ts'

const clusterRoles: ResourceRef = { group: 'rbac.authorization.k8s.io', version: 'v1', resource: 'clusterroles' }

export const clusterRoleAggregation: ControllerDefinition = {
  name: 'clusterrole-aggregation-controller',
  start(context) {
    const { client, informers } = context
    const roles = informers.informer(clusterRoles)
    const aggregated = () => roles.list().filter((role) => role.aggregationRule)
    return reconcileOn(
      context,
      'clusterrole-aggregation-controller',
      [{ ref: clusterRoles, keys: () => aggregated().map((role) => role.metadata.name) }],
      async (name) => {
        const role = roles.get(name)
        const rules = role && aggregatedRules(role, roles.list())
        if (!role || !rules || semanticallyEqual(rules, role.rules ?? [])) return undefined
        await client.update(clusterRoles, { ...role, rules })
        return undefined
      },
      1,
    )
  },
}
