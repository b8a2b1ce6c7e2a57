// The admission plugins in the order in which they see a request.

import type { Authorizer } from '../auth/authz.ts'
import { checkEscalation, type RoleRules } from '../auth/escalation.ts'
import type { Objects } from '../objects.ts'
import type { Registry } from '../registry.ts'
import type { AdmissionPlugin } from './admission.ts'
import { createLookup } from './lookup.ts'
import { namespaceLifecycle } from './namespaces.ts'
import { defaultTolerations, priorities, runtimeClasses, serviceAccounts } from './pods.ts'
import { type ServiceRanges, serviceAllocation } from './services.ts'
import { defaultStorageClass, inUseProtection } from './storage.ts'

export function standardPlugins(options: {
  objects: Objects
  registry: Registry
  services: ServiceRanges
  authorizer: Authorizer
  roleRules: RoleRules
}): AdmissionPlugin[] {
  const { objects, registry } = options
  const lookup = createLookup(objects, registry)
  return [
    namespaceLifecycle(lookup),
    serviceAccounts(lookup),
    runtimeClasses(lookup),
    priorities(lookup),
    defaultTolerations,
    defaultStorageClass(lookup),
    inUseProtection,
    escalation(options.authorizer, options.roleRules),
    // Last of those that complete: what it takes is given back when a later step refuses.
    serviceAllocation(objects, registry, options.services),
  ]
}

const escalation = (authorizer: Authorizer, roleRules: RoleRules): AdmissionPlugin => ({
  name: 'RBACEscalation',
  validate(request) {
    if (request.operation === 'DELETE') return
    checkEscalation(authorizer, roleRules, request.user, request.resource, request.object!, request.old)
  },
})
