// Roles and bindings as the authorizer reads them: straight from the store, gathered again when one of them changes.

import type { Objects } from '../objects.ts'
import type { Registry } from '../registry.ts'
import { type Authorizer, createAuthorizer, type PolicyRule } from './authz.ts'
import type { RoleRules } from './escalation.ts'

const group = 'rbac.authorization.k8s.io'

export function createRoles(objects: Objects, registry: Registry): { authorizer: Authorizer; roleRules: RoleRules } {
  const authorizer = createAuthorizer({
    list(plural) {
      const resource = registry.preferred(group, plural)
      return resource ? objects.list(resource, '').map((stored) => stored.object) : []
    },
  })
  objects.store.watch(`/registry/${group}/`, objects.store.revision(), () => authorizer.changed())
  const roleRules: RoleRules = (kind, name, namespace) => {
    const resource = registry.preferred(group, kind === 'Role' ? 'roles' : 'clusterroles')
    const role = resource && objects.get(resource, kind === 'Role' ? namespace : '', name)
    return role && ((role.object.rules ?? []) as PolicyRule[])
  }
  return { authorizer, roleRules }
}
