// ValidatingAdmissionPolicies get the result of their type check as status
// (pkg/controller/validatingadmissionpolicystatus, 1.36).

import { celPolicyCheck } from '../api/cel/lazy.ts'
import type { ResourceRef } from '../api/meta.ts'
import { type ControllerDefinition, itself, reconcileOn } from './controller.ts'

const policies: ResourceRef = {
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  resource: 'validatingadmissionpolicies',
}

export const policyStatus: ControllerDefinition = {
  name: 'validatingadmissionpolicy-status-controller',
  start(context) {
    const { client, informers, kinds } = context
    const informer = informers.informer(policies)
    return reconcileOn(
      context,
      'validatingadmissionpolicy-status-controller',
      [{ ref: policies, keys: itself }],
      async (name) => {
        const policy = informer.get(name)
        const observed = (policy?.status as { observedGeneration?: number } | undefined)?.observedGeneration ?? 0
        const generation = policy?.metadata.generation ?? 0
        if (!policy || generation <= observed) return undefined
        const expressionWarnings = celPolicyCheck().checkPolicy(policy.spec as Record<string, any>, kinds())
        const typeChecking = expressionWarnings.length > 0 ? { expressionWarnings } : {}
        const status = { ...(policy.status as object), observedGeneration: generation, typeChecking }
        await client.updateStatus(policies, { ...policy, status })
        return undefined
      },
      1,
    )
  },
}
