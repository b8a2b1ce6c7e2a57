// Who writes a policy or a binding must be allowed to read the params it names: its messages could show them (facts of
// pkg/registry/admissionregistration/*/authz.go, 1.36).

import { invalid } from '../../../api/errors.ts'
import { equalJson } from '../../../api/walk/plain.ts'
import { forbidden } from '../../../api/walk/rules.ts'
import type { Authorizer } from '../../auth/authz.ts'
import type { Registry } from '../../registry.ts'
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts'
import type { Lookup } from '../lookup.ts'

type Json = Record<string, any>

const group = 'admissionregistration.k8s.io'
const policyKinds = ['validatingadmissionpolicies', 'mutatingadmissionpolicies']
const bindingKinds: Record<string, string> = {
  validatingadmissionpolicybindings: 'validatingadmissionpolicies',
  mutatingadmissionpolicybindings: 'mutatingadmissionpolicies',
}

export function paramAccess(authorizer: Authorizer, registry: Registry, lookup: Lookup): AdmissionPlugin {
  /** Everything when it is not known what the params are. */
  function resourceOf(kind: Json | undefined): { group: string; version: string; resource: string } {
    if (!kind) return { group: '*', version: '*', resource: '*' }
    const [first, second] = String(kind.apiVersion).split('/')
    const named = second === undefined ? { group: '', version: first! } : { group: first!, version: second }
    return { ...named, resource: registry.findKind(named.group, named.version, kind.kind)?.plural ?? '*' }
  }

  function mayRead(
    { user }: AdmissionRequest,
    verb: string,
    kind: Json | undefined,
    namespace: string,
    name: string,
  ): boolean {
    const attributes = { verb, isResource: true, path: '', subresource: '', namespace, name, ...resourceOf(kind) }
    return user.groups.includes('system:masters') || authorizer.decide(user, attributes).allowed
  }

  function policyProblem(request: AdmissionRequest): string | undefined {
    const kind = (request.object!.spec as Json | undefined)?.paramKind
    if (!kind || equalJson(kind, (request.old?.spec as Json | undefined)?.paramKind)) return undefined
    if (mayRead(request, 'get', kind, '*', '*')) return undefined
    return `user ${request.user.name} must have "get" permission on all objects of the referenced paramKind (kind=${kind.kind}, apiVersion=${kind.apiVersion})`
  }

  function bindingProblem(request: AdmissionRequest, policies: string): string | undefined {
    const spec = request.object!.spec as Json
    const old = request.old?.spec as Json | undefined
    const ref = spec.paramRef
    if (!ref || (old && equalJson(ref, old.paramRef) && spec.policyName === old.policyName)) return undefined
    const policy = lookup.get(group, policies, '', spec.policyName)
    const verb = ref.name ? 'get' : 'list'
    if (mayRead(request, verb, (policy?.spec as Json | undefined)?.paramKind, ref.namespace ?? '', ref.name ?? ''))
      return undefined
    const user = `user ${request.user.name} does not have "${verb}" permission`
    if (policy) return `${user} on the object referenced by paramRef`
    return `unable to get policy ${spec.policyName} to determine minimum required permissions and ${user} for all groups, versions and resources`
  }

  return {
    name: 'PolicyParamAccess',
    resources: [...policyKinds, ...Object.keys(bindingKinds)].map((plural) => `${plural}.${group}`),
    validate(request) {
      const { resource, operation, subresource } = request
      if (resource.group !== group || operation === 'DELETE' || subresource || !request.object) return
      const policies = bindingKinds[resource.plural]
      const problem = policies
        ? bindingProblem(request, policies)
        : policyKinds.includes(resource.plural) && policyProblem(request)
      if (!problem) return
      const field = policies ? 'spec.paramRef' : 'spec.paramKind'
      throw invalid(resource.kind.kind, request.name, [forbidden(field, problem)], group)
    },
  }
}
