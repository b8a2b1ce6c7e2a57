// Which requests a policy or binding is about: its rules, exclusions and selectors (facts of
// k8s.io/apiserver/pkg/admission/plugin/policy/matching, 1.36).

import { notFound } from '../../../api/errors.ts'
import { type LabelMatcher, selectorMatcher } from '../../../api/selector.ts'
import type { Registry, Resource } from '../../registry.ts'
import type { AdmissionRequest } from '../admission.ts'
import type { Lookup } from '../lookup.ts'
import { type Rule, versionFor } from '../webhooks/match.ts'
import { namespaceOf } from '../webhooks/review.ts'

interface NamedRule extends Rule {
  resourceNames?: string[]
}
export interface Match {
  rules: NamedRule[]
  excluded: NamedRule[]
  equivalent: boolean
  namespaces: LabelMatcher
  objects: LabelMatcher
}
export interface Matching {
  lookup: Lookup
  registry: Registry
}

export function readMatch(match: Record<string, any>): Match {
  return {
    rules: match.resourceRules ?? [],
    excluded: match.excludeResourceRules ?? [],
    equivalent: match.matchPolicy !== 'Exact',
    namespaces: selectorMatcher(match.namespaceSelector ?? {}),
    objects: selectorMatcher(match.objectSelector ?? {}),
  }
}

/** The version in which the object is shown; undefined: it is not about this request. @throws ApiError */
export function matched(match: Match, request: AdmissionRequest, tools: Matching): Resource | undefined {
  if (!objectMatches(match, request)) return undefined
  if (match.excluded.length > 0 && byRules(match, match.excluded, request, tools)) return undefined
  const seenAs = match.rules.length === 0 ? request.resource : byRules(match, match.rules, request, tools)
  return seenAs && namespaceMatches(match, request, tools.lookup) ? seenAs : undefined
}

function byRules(
  match: Match,
  rules: NamedRule[],
  request: AdmissionRequest,
  { registry }: Matching,
): Resource | undefined {
  const named = rules.filter(
    ({ resourceNames = [] }) => resourceNames.length === 0 || resourceNames.includes(request.name),
  )
  return named.length === 0 ? undefined : versionFor(named, match.equivalent, request, registry)
}

function namespaceMatches({ namespaces }: Match, request: AdmissionRequest, lookup: Lookup): boolean {
  if (namespaces.everything) return true
  const isNamespace = request.resource.groupResource === 'namespaces'
  const name = namespaceOf(request)
  // Selectors of namespaces say nothing about what is in none.
  if (!isNamespace && name === '') return true
  if (isNamespace && !request.subresource && request.object && request.operation !== 'DELETE') {
    return namespaces.matches(request.object.metadata.labels)
  }
  const found = lookup.get('', 'namespaces', '', name)
  if (!found) throw notFound('namespaces', name)
  return namespaces.matches(found.metadata.labels)
}

/** Before or after the change: one of both is enough. */
function objectMatches({ objects }: Match, { object, old, operation }: AdmissionRequest): boolean {
  if (objects.everything) return true
  if (operation === 'CONNECT') return false
  return [object, old].some((one) => one !== undefined && objects.matches(one.metadata.labels))
}
