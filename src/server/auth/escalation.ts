// Nobody may give away what they do not have: checks on writes of roles and bindings
// (registry/rbac/{role,rolebinding}/policybased, 1.36).

import type { UserInfo } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import { equalJson } from '../../api/walk/plain.ts'
import type { Resource } from '../registry.ts'
import { type Attributes, type Authorizer, forbiddenObject, type PolicyRule } from './authz.ts'

const group = 'rbac.authorization.k8s.io'

const everything: PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
]

/** Looks up the rules of a role that a binding names. */
export type RoleRules = (kind: string, name: string, namespace: string) => PolicyRule[] | undefined

export function checkEscalation(
  authorizer: Authorizer,
  roleRules: RoleRules,
  user: UserInfo,
  resource: Resource,
  object: ApiObject,
  old: ApiObject | undefined,
): void {
  if (resource.group !== group || user.groups.includes('system:masters')) return
  const namespace = object.metadata.namespace ?? ''
  const name = object.metadata.name ?? ''
  const may = (verb: string, plural: string, target: string): boolean => {
    const attributes: Attributes = {
      verb,
      isResource: true,
      path: '',
      group,
      version: 'v1',
      resource: plural,
      subresource: '',
      namespace,
      name: target,
    }
    return authorizer.decide(user, attributes).allowed
  }
  const plural = resource.plural
  let wanted: PolicyRule[]
  if (plural === 'roles' || plural === 'clusterroles') {
    const sameRules = old && equalJson(old.rules ?? [], object.rules ?? [])
    const sameAggregation = equalJson(old?.aggregationRule ?? null, object.aggregationRule ?? null)
    if (sameRules && sameAggregation) return
    if (may('escalate', plural, name)) return
    // Who lets a role grow by itself could give anything away.
    if (object.aggregationRule && uncovered(authorizer.rulesFor(user, ''), everything).length > 0)
      throw forbiddenObject(group, plural, name, 'must have cluster-admin privileges to use an aggregationRule')
    wanted = object.rules ?? []
  } else {
    const same =
      old && JSON.stringify([old.roleRef, old.subjects]) === JSON.stringify([object.roleRef, object.subjects])
    if (same) return
    const reference = object.roleRef ?? {}
    if (may('bind', reference.kind === 'Role' ? 'roles' : 'clusterroles', reference.name)) return
    const rules = roleRules(reference.kind, reference.name, namespace)
    if (!rules) {
      const kind = reference.kind === 'Role' ? 'roles' : 'clusterroles'
      throw forbiddenObject(group, plural, name, `${kind}.${group} "${reference.name}" not found`)
    }
    wanted = rules
  }
  const missing = uncovered(authorizer.rulesFor(user, namespace), wanted)
  if (missing.length === 0) return
  const groups = user.groups.map((name) => JSON.stringify(name)).join(' ')
  const list = missing.map(ruleText).join('\n')
  const text = `user ${JSON.stringify(user.name)} (groups=[${groups}]) is attempting to grant RBAC permissions not currently held:\n${list}`
  throw forbiddenObject(group, plural, name, text)
}

/** The single permissions in `wanted` that no rule in `held` covers. */
export function uncovered(held: PolicyRule[], wanted: PolicyRule[]): PolicyRule[] {
  return wanted.flatMap(single).filter((rule) => !held.some((own) => covers(own, rule)))
}

/** One rule per verb × group × resource × name, or verb × URL. */
function single(rule: PolicyRule): PolicyRule[] {
  const result: PolicyRule[] = []
  for (const verb of rule.verbs ?? []) {
    for (const url of rule.nonResourceURLs ?? []) result.push({ verbs: [verb], nonResourceURLs: [url] })
    for (const apiGroup of rule.apiGroups ?? [])
      for (const resource of rule.resources ?? []) {
        const one = { verbs: [verb], apiGroups: [apiGroup], resources: [resource] }
        if (rule.resourceNames?.length)
          for (const name of rule.resourceNames) result.push({ ...one, resourceNames: [name] })
        else result.push(one)
      }
  }
  return result
}

function covers(held: PolicyRule, wanted: PolicyRule): boolean {
  const includes = (values: string[] | undefined, value: string) => values?.includes('*') || values?.includes(value)
  if (!includes(held.verbs, wanted.verbs[0]!)) return false
  const url = wanted.nonResourceURLs?.[0]
  if (url !== undefined)
    return (held.nonResourceURLs ?? []).some(
      (own) => own === url || own === '*' || (own.endsWith('*') && url.startsWith(own.slice(0, -1))),
    )
  if (!includes(held.apiGroups, wanted.apiGroups![0]!)) return false
  const resource = wanted.resources![0]!
  const slash = resource.indexOf('/')
  const anyOwner = slash > 0 && held.resources?.includes(`*${resource.slice(slash)}`)
  if (!includes(held.resources, resource) && !anyOwner) return false
  const name = wanted.resourceNames?.[0]
  return !held.resourceNames?.length || (name !== undefined && held.resourceNames.includes(name))
}

function ruleText(rule: PolicyRule): string {
  const list = (values: string[]) => `[${values.map((value) => JSON.stringify(value)).join(' ')}]`
  if (rule.nonResourceURLs) return `{NonResourceURLs:${list(rule.nonResourceURLs)}, Verbs:${list(rule.verbs)}}`
  const names = rule.resourceNames ? `ResourceNames:${list(rule.resourceNames)}, ` : ''
  return `{APIGroups:${list(rule.apiGroups!)}, Resources:${list(rule.resources!)}, ${names}Verbs:${list(rule.verbs)}}`
}
