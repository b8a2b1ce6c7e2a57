// ValidatingAdmissionPolicies get the result of their type check as status
// (pkg/controller/validatingadmissionpolicystatus, 1.36).

import { celPolicyCheck } from '../api/cel/lazy.ts'
import type { ResourceRef } from '../api/meta.ts'
import { keepsStatus } from './kept-status.ts'

const policies: ResourceRef = {
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  resource: 'validatingadmissionpolicies',
}

export const policyStatus = keepsStatus({
  name: 'validatingadmissionpolicy-status-controller',
  of: policies,
  status({ metadata, spec, status }, { kinds }) {
    const generation = metadata.generation ?? 0
    if (generation <= (status?.observedGeneration ?? 0)) return undefined
    const expressionWarnings = celPolicyCheck().checkPolicy(spec as Record<string, any>, kinds())
    const typeChecking = expressionWarnings.length > 0 ? { expressionWarnings } : {}
    return { ...status, observedGeneration: generation, typeChecking }
  },
})
