// Which requests a webhook is about (apiserver admission/plugin/webhook/predicates, 1.36). Pure.

import type { Registry, Resource } from '../../registry.ts'
import type { AdmissionTarget } from '../admission.ts'

export interface Rule {
  operations: string[]
  apiGroups: string[]
  apiVersions: string[]
  resources: string[]
  scope?: string
}

const has = (list: readonly string[] | undefined, value: string): boolean =>
  list !== undefined && (list.includes('*') || list.includes(value))

const inScope = (scope: string | undefined, resource: Resource): boolean =>
  scope === undefined || scope === '*' || (scope === 'Namespaced') === resource.namespaced

function namesResource(names: readonly string[] | undefined, plural: string, subresource: string): boolean {
  return (names ?? []).some((name) => {
    const [whole = '', part = ''] = name.split(/\/(.*)/s)
    return (whole === '*' || whole === plural) && (part === '*' || part === subresource)
  })
}

export const ruleMatches = (rule: Rule, { operation, subresource }: AdmissionTarget, resource: Resource): boolean =>
  inScope(rule.scope, resource) &&
  has(rule.operations, operation) &&
  has(rule.apiGroups, resource.group) &&
  has(rule.apiVersions, resource.version) &&
  namesResource(rule.resources, resource.plural, subresource)

/** The version of the resource in which a webhook wants to see a request; undefined: it does not want to. */
export function versionFor(
  rules: readonly Rule[],
  equivalent: boolean,
  target: AdmissionTarget,
  registry: Registry,
): Resource | undefined {
  const { resource } = target
  if (rules.some((rule) => ruleMatches(rule, target, resource))) return resource
  if (!equivalent) return undefined
  const others = otherVersions(resource, registry)
  if (others.length === 0) return undefined
  for (const rule of rules) {
    const found = others.find((other) => ruleMatches(rule, target, other))
    if (found) return found
  }
  return undefined
}

function otherVersions(resource: Resource, registry: Registry): Resource[] {
  const versions = registry.groups().get(resource.group) ?? []
  return versions.flatMap((version) => {
    const other = version === resource.version ? undefined : registry.find(resource.group, version, resource.plural)
    return other ? [other] : []
  })
}

/** Webhooks and policies are not asked about themselves: nobody could take back a wrong one. */
const exempt = new Set([
  'validatingwebhookconfigurations',
  'mutatingwebhookconfigurations',
  'validatingadmissionpolicies',
  'validatingadmissionpolicybindings',
  'mutatingadmissionpolicies',
  'mutatingadmissionpolicybindings',
])

export const isExempt = ({ group, plural }: Resource): boolean =>
  group === 'admissionregistration.k8s.io' && exempt.has(plural)
