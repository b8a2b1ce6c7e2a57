// May this user do that? RBAC over the roles and bindings in the store (rbac/v1, 1.36). The rules of a user are gathered
// once and kept until a role or a binding changes.

import { ApiError } from '../../api/errors.ts'
import type { UserInfo } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import type { RequestInfo } from '../request.ts'

export interface Attributes {
  verb: string
  isResource: boolean
  path: string
  group: string
  version: string
  resource: string
  subresource: string
  namespace: string
  name: string
}

export interface PolicyRule {
  verbs: string[]
  apiGroups?: string[]
  resources?: string[]
  resourceNames?: string[]
  nonResourceURLs?: string[]
}

export interface Decision {
  allowed: boolean
  reason: string
}

export interface Authorizer {
  decide(user: UserInfo, attributes: Attributes): Decision
  /** Every rule that holds for the user in a namespace ('' = only cluster-wide ones). */
  rulesFor(user: UserInfo, namespace: string): PolicyRule[]
  /** Forget what was gathered: a role or binding changed. */
  changed(): void
}

/** Where roles and bindings are read from. */
export interface RoleSource {
  list(plural: 'roles' | 'clusterroles' | 'rolebindings' | 'clusterrolebindings'): readonly ApiObject[]
}

interface UserRules {
  cluster: PolicyRule[]
  namespaces: Map<string, PolicyRule[]>
  /** Bindings that name a role which does not exist: shown in the refusal. */
  missing: string[]
}

const usersRemembered = 1000

export function createAuthorizer(source: RoleSource): Authorizer {
  let index: ReturnType<typeof gather> | undefined
  const users = new Map<string, UserRules>()

  function rulesOf(user: UserInfo): UserRules {
    index ??= gather(source)
    const key = JSON.stringify([user.name, user.groups])
    let rules = users.get(key)
    if (!rules) {
      rules = rulesOfUser(index, user)
      if (users.size >= usersRemembered) users.delete(users.keys().next().value!)
      users.set(key, rules)
    }
    return rules
  }

  return {
    decide(user, attributes) {
      if (user.groups.includes('system:masters')) return { allowed: true, reason: '' }
      const rules = rulesOf(user)
      if (rules.cluster.some((rule) => ruleAllows(rule, attributes))) return { allowed: true, reason: '' }
      const own = attributes.namespace ? rules.namespaces.get(attributes.namespace) : undefined
      if (own?.some((rule) => ruleAllows(rule, attributes))) return { allowed: true, reason: '' }
      return { allowed: false, reason: rules.missing.length > 0 ? `RBAC: ${rules.missing.join(', ')}` : '' }
    },
    rulesFor(user, namespace) {
      if (user.groups.includes('system:masters'))
        return [
          { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
          { verbs: ['*'], nonResourceURLs: ['*'] },
        ]
      const rules = rulesOf(user)
      return [...rules.cluster, ...(rules.namespaces.get(namespace) ?? [])]
    },
    changed() {
      index = undefined
      users.clear()
    },
  }
}

function gather(source: RoleSource) {
  const byName = (objects: readonly ApiObject[]) =>
    new Map(objects.map((object) => [`${object.metadata.namespace ?? ''}/${object.metadata.name}`, object]))
  return {
    roles: byName(source.list('roles')),
    clusterRoles: byName(source.list('clusterroles')),
    bindings: source.list('rolebindings'),
    clusterBindings: source.list('clusterrolebindings'),
  }
}

function rulesOfUser(index: ReturnType<typeof gather>, user: UserInfo): UserRules {
  const result: UserRules = { cluster: [], namespaces: new Map(), missing: [] }
  const roleRules = (binding: ApiObject): PolicyRule[] => {
    const { kind, name } = binding.roleRef ?? {}
    const namespace = binding.metadata.namespace ?? ''
    const role = kind === 'Role' ? index.roles.get(`${namespace}/${name}`) : index.clusterRoles.get(`/${name}`)
    if (!role)
      result.missing.push(
        kind === 'Role'
          ? `role.rbac.authorization.k8s.io "${name}" not found`
          : `clusterrole.rbac.authorization.k8s.io "${name}" not found`,
      )
    return role?.rules ?? []
  }
  for (const binding of index.clusterBindings) if (bindsUser(binding, user)) result.cluster.push(...roleRules(binding))
  for (const binding of index.bindings) {
    if (!bindsUser(binding, user)) continue
    const namespace = binding.metadata.namespace ?? ''
    const rules = result.namespaces.get(namespace) ?? []
    rules.push(...roleRules(binding))
    result.namespaces.set(namespace, rules)
  }
  return result
}

function bindsUser(binding: ApiObject, user: UserInfo): boolean {
  return (binding.subjects ?? []).some((subject: { kind: string; name: string; namespace?: string }) => {
    if (subject.kind === 'User') return subject.name === user.name
    if (subject.kind === 'Group') return user.groups.includes(subject.name)
    const namespace = subject.namespace || binding.metadata.namespace
    return subject.kind === 'ServiceAccount' && user.name === `system:serviceaccount:${namespace}:${subject.name}`
  })
}

const has = (values: string[] | undefined, value: string): boolean =>
  values !== undefined && (values.includes('*') || values.includes(value))

export function ruleAllows(rule: PolicyRule, request: Attributes): boolean {
  if (!has(rule.verbs, request.verb)) return false
  if (!request.isResource) return (rule.nonResourceURLs ?? []).some((url) => urlMatches(url, request.path))
  if (!has(rule.apiGroups, request.group)) return false
  if (!resourceMatches(rule.resources ?? [], request.resource, request.subresource)) return false
  return !rule.resourceNames?.length || rule.resourceNames.includes(request.name)
}

function resourceMatches(resources: string[], resource: string, subresource: string): boolean {
  const combined = subresource ? `${resource}/${subresource}` : resource
  return resources.some(
    (wanted) => wanted === '*' || wanted === combined || (subresource !== '' && wanted === `*/${subresource}`),
  )
}

const urlMatches = (pattern: string, path: string): boolean =>
  pattern === '*' || pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1)))

/** 'User "x" cannot list resource "pods" in API group "" in the namespace "default"' (responsewriters/errors.go). */
export function refusal(user: UserInfo, attributes: Attributes): string {
  const who = `User ${JSON.stringify(user.name)} cannot ${attributes.verb}`
  if (!attributes.isResource) return `${who} path ${JSON.stringify(attributes.path)}`
  const resource = attributes.subresource ? `${attributes.resource}/${attributes.subresource}` : attributes.resource
  const scope = attributes.namespace
    ? `in the namespace ${JSON.stringify(attributes.namespace)}`
    : 'at the cluster scope'
  return `${who} resource ${JSON.stringify(resource)} in API group ${JSON.stringify(attributes.group)} ${scope}`
}

export function forbidden(attributes: Attributes, message: string): ApiError {
  const { group, resource, name, isResource } = attributes
  if (!isResource) return new ApiError('Forbidden', `forbidden: ${message}`, {})
  return forbiddenObject(group, resource, name, message)
}

/** '<resource> "<name>" is forbidden: …' */
export function forbiddenObject(group: string, resource: string, name: string, message: string): ApiError {
  const qualified = group ? `${resource}.${group}` : resource
  const subject = name ? `${qualified} ${JSON.stringify(name)}` : qualified
  return new ApiError('Forbidden', `${subject} is forbidden: ${message}`, {
    ...(name && { name }),
    ...(group && { group }),
    kind: resource,
  })
}

export const attributesOf = (info: RequestInfo): Attributes => info

/** @throws ApiError Forbidden in upstream's words. */
export function authorize(authorizer: Authorizer, user: UserInfo, attributes: Attributes): void {
  const decision = authorizer.decide(user, attributes)
  if (decision.allowed) return
  const text = refusal(user, attributes)
  throw forbidden(attributes, decision.reason ? `${text}: ${decision.reason}` : text)
}
