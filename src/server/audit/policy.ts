// What of a request is written down: the rules of an audit policy (apiserver/pkg/audit/policy, 1.36). Pure.

import type { UserInfo } from '../../api/exchange.ts'
import type { RequestInfo } from '../request.ts'

export type AuditLevel = 'None' | 'Metadata' | 'Request' | 'RequestResponse'
export type AuditStage = 'RequestReceived' | 'ResponseStarted' | 'ResponseComplete' | 'Panic'

export interface AuditRule {
  level: AuditLevel
  users?: string[]
  userGroups?: string[]
  verbs?: string[]
  resources?: { group?: string; resources?: string[]; resourceNames?: string[] }[]
  namespaces?: string[]
  nonResourceURLs?: string[]
  omitStages?: AuditStage[]
  omitManagedFields?: boolean
}

export interface AuditPolicy {
  rules: AuditRule[]
  omitStages: AuditStage[]
  omitManagedFields: boolean
}

const levels: AuditLevel[] = ['None', 'Metadata', 'Request', 'RequestResponse']
const stages: AuditStage[] = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic']
const lists = ['users', 'userGroups', 'verbs', 'namespaces', 'nonResourceURLs', 'omitStages'] as const
const fields = new Set<string>([...lists, 'level', 'resources', 'omitManagedFields'])

/** @throws Error that says what to change in the file */
export function readPolicy(document: unknown): AuditPolicy {
  const { apiVersion, kind, rules, omitStages, omitManagedFields } = (document ?? {}) as Record<string, any>
  if (apiVersion !== 'audit.k8s.io/v1' || kind !== 'Policy')
    throw new Error('the audit policy must be a Policy of audit.k8s.io/v1')
  if (!Array.isArray(rules) || rules.length === 0) throw new Error('the audit policy needs a list of rules')
  for (const [index, rule] of rules.entries()) checkRule(rule, `rules[${index}]`)
  for (const stage of omitStages ?? [])
    if (!stages.includes(stage)) throw new Error(`omitStages: ${stage} is none of ${stages.join(', ')}`)
  return { rules, omitStages: omitStages ?? [], omitManagedFields: omitManagedFields === true }
}

function checkRule(rule: any, at: string): void {
  if (!levels.includes(rule?.level)) throw new Error(`${at}.level must be one of ${levels.join(', ')}`)
  const unknown = Object.keys(rule).find((field) => !fields.has(field))
  if (unknown) throw new Error(`${at}.${unknown} is no field of an audit rule`)
  for (const list of lists)
    if (rule[list] !== undefined && !Array.isArray(rule[list])) throw new Error(`${at}.${list} must be a list`)
  if (rule.nonResourceURLs?.length && (rule.resources?.length || rule.namespaces?.length))
    throw new Error(`${at}.nonResourceURLs: rules cannot apply to both regular resources and non-resource URLs`)
  for (const stage of rule.omitStages ?? [])
    if (!stages.includes(stage)) throw new Error(`${at}.omitStages: ${stage} is none of ${stages.join(', ')}`)
}

const holds = (list: string[] | undefined, value: string): boolean => !list?.length || list.includes(value)

function resourceMatches(rule: AuditRule, info: RequestInfo): boolean {
  if (!holds(rule.namespaces, info.namespace)) return false
  if (!rule.resources?.length) return true
  const { group, resource, subresource, name } = info
  const full = subresource ? `${resource}/${subresource}` : resource
  return rule.resources.some((one) => {
    if ((one.group ?? '') !== group) return false
    if (one.resourceNames?.length && !one.resourceNames.includes(name)) return false
    if (!one.resources?.length) return true
    return one.resources.some(
      (wanted) =>
        wanted === full ||
        wanted === '*' ||
        (subresource !== '' && wanted === `*/${subresource}`) ||
        wanted === `${resource}/*`,
    )
  })
}

const pathMatches = (patterns: string[], path: string): boolean =>
  patterns.some(
    (pattern) =>
      pattern === '*' || pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1))),
  )

function ruleMatches(rule: AuditRule, user: UserInfo, info: RequestInfo): boolean {
  if (!holds(rule.users, user.name) || !holds(rule.verbs, info.verb)) return false
  if (rule.userGroups?.length && !rule.userGroups.some((group) => user.groups.includes(group))) return false
  if (rule.namespaces?.length || rule.resources?.length) return info.isResource && resourceMatches(rule, info)
  if (rule.nonResourceURLs?.length) return !info.isResource && pathMatches(rule.nonResourceURLs, info.path)
  return true
}

export interface AuditDecision {
  level: AuditLevel
  omitStages: AuditStage[]
  omitManagedFields: boolean
}

/** The first rule that fits decides; without one nothing is written. */
export function decide(policy: AuditPolicy, user: UserInfo, info: RequestInfo): AuditDecision {
  const rule = policy.rules.find((one) => ruleMatches(one, user, info))
  return {
    level: rule?.level ?? 'None',
    omitStages: [...policy.omitStages, ...(rule?.omitStages ?? [])],
    omitManagedFields: rule?.omitManagedFields ?? policy.omitManagedFields,
  }
}
