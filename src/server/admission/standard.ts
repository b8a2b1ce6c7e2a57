// The admission plugins in the order in which they see a request.

import type { Logger } from '../../base/log.ts'
import { resolveService } from '../aggregation/resolve-service.ts'
import type { Authorizer } from '../auth/authz.ts'
import { checkEscalation, type RoleRules } from '../auth/escalation.ts'
import { customResources } from '../custom/admission.ts'
import type { Objects } from '../objects.ts'
import type { Registry } from '../registry.ts'
import type { AdmissionPlugin } from './admission.ts'
import { createByNamespace } from './by-namespace.ts'
import { certificateRequests } from './certificates.ts'
import { dataSources } from './data-sources.ts'
import { featureGates } from './feature-gates.ts'
import { isolation, isolationClasses } from './isolation/plugin.ts'
import { limitRanger } from './limit-ranges.ts'
import { createLookup } from './lookup.ts'
import { machinePresets } from './machine-presets.ts'
import { machineTypes } from './machine-types.ts'
import { migrations } from './migrations.ts'
import { namespaceLifecycle } from './namespaces.ts'
import { nodeRestriction } from './node-restriction.ts'
import { defaultIngressClass, podTopology, taintNodes } from './nodes.ts'
import { podSecurity } from './pod-security/plugin.ts'
import { defaultTolerations, priorities, runtimeClasses, serviceAccounts } from './pods.ts'
import { mutatingPolicies } from './policies/mutating.ts'
import { paramAccess } from './policies/param-access.ts'
import { createPolicySource } from './policies/policy.ts'
import { type PolicyTools, validatingPolicies } from './policies/validating.ts'
import { resourceQuotas } from './quotas.ts'
import { type ServiceRanges, serviceAllocation } from './services.ts'
import { claimResize, defaultStorageClass, inUseProtection, phaseTimes } from './storage.ts'
import { createAsk } from './webhooks/ask.ts'
import { type AskWebhook, mutatingWebhooks, validatingWebhooks, type WebhookTools } from './webhooks/dispatch.ts'
import { createWebhookSource } from './webhooks/hooks.ts'
import { convertNow } from './webhooks/versions.ts'

export function standardPlugins(options: {
  objects: Objects
  registry: Registry
  services: ServiceRanges
  authorizer: Authorizer
  roleRules: RoleRules
  log: Logger
  now: () => number
  /** How webhooks are asked (default: over HTTPS). */
  askWebhook?: AskWebhook
}): AdmissionPlugin[] {
  const { objects, registry } = options
  const lookup = createLookup(objects, registry)
  const webhooks: WebhookTools = {
    lookup,
    registry,
    authorizer: options.authorizer,
    ask: options.askWebhook ?? createAsk((...service) => resolveService(lookup, ...service)),
    convert: convertNow,
    log: options.log,
  }
  const policies: PolicyTools = { ...webhooks, objects }
  const ranges = createByNamespace(objects, registry, '', 'limitranges')
  const presets = createByNamespace(objects, registry, 'kubevirt.io', 'virtualmachineinstancepresets')
  const isolationPolicies = createByNamespace(objects, registry, 'policy.tandem.dev', 'clusterisolationpolicies')
  const quotas = createByNamespace(objects, registry, '', 'resourcequotas')
  return [
    namespaceLifecycle(lookup),
    customResources(registry),
    limitRanger(ranges),
    serviceAccounts(lookup),
    nodeRestriction(lookup),
    taintNodes,
    isolationClasses(lookup, isolationPolicies),
    runtimeClasses(lookup),
    priorities(lookup),
    defaultTolerations,
    podTopology(lookup),
    defaultStorageClass(lookup),
    defaultIngressClass(lookup),
    inUseProtection,
    claimResize(lookup),
    machinePresets(presets),
    machineTypes(lookup),
    featureGates(lookup),
    migrations(lookup),
    phaseTimes(),
    podSecurity(lookup),
    certificateRequests(options.authorizer),
    escalation(options.authorizer, options.roleRules),
    dataSources(options.authorizer, lookup),
    paramAccess(options.authorizer, registry, lookup),
    mutatingPolicies(createPolicySource(objects, registry, 'mutating'), policies),
    mutatingWebhooks(createWebhookSource(objects, registry, 'mutatingwebhookconfigurations'), webhooks),
    validatingPolicies(createPolicySource(objects, registry, 'validating'), policies),
    validatingWebhooks(createWebhookSource(objects, registry, 'validatingwebhookconfigurations'), webhooks),
    isolation(lookup, isolationPolicies),
    // Last of those that complete: what it takes is given back when a later step refuses.
    serviceAllocation(objects, registry, options.services),
    resourceQuotas(quotas, lookup, options.now),
  ]
}

const escalation = (authorizer: Authorizer, roleRules: RoleRules): AdmissionPlugin => ({
  name: 'RBACEscalation',
  validate(request) {
    if (request.operation === 'DELETE') return
    checkEscalation(authorizer, roleRules, request.user, request.resource, request.object!, request.old)
  },
})
