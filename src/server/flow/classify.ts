// Which flow schema a request belongs to (apiserver/pkg/util/flowcontrol/rule.go, 1.36). Pure.

import type { UserInfo } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import type { Attributes } from '../auth/authz.ts'

export interface FlowSchema {
  name: string
  uid: string
  level: string
  /** What tells the flows of this schema apart. */
  flowOf(user: UserInfo, request: Attributes): string
  matches(user: UserInfo, request: Attributes): boolean
}

type Test = (user: UserInfo, request: Attributes) => boolean

const has = (list: string[] | undefined, value: string): boolean =>
  list !== undefined && (list.includes('*') || list.includes(value))

function subjectTest(subject: any): Test {
  const name: string = subject.user?.name ?? subject.group?.name ?? subject.serviceAccount?.name ?? ''
  if (subject.kind === 'User') return name === '*' ? () => true : (user) => user.name === name
  if (subject.kind === 'Group') return name === '*' ? () => true : (user) => user.groups.includes(name)
  const prefix = `system:serviceaccount:${subject.serviceAccount?.namespace}:`
  return name === '*' ? (user) => user.name.startsWith(prefix) : (user) => user.name === prefix + name
}

function resourceTest(rule: any): Test {
  return (_, { verb, group, resource, subresource, namespace }) =>
    has(rule.verbs, verb) &&
    has(rule.apiGroups, group) &&
    has(rule.resources, subresource ? `${resource}/${subresource}` : resource) &&
    (namespace === '' ? rule.clusterScope === true : has(rule.namespaces, namespace))
}

function pathTest(rule: any): Test {
  const urls: string[] = rule.nonResourceURLs ?? []
  return (_, { verb, path }) =>
    has(rule.verbs, verb) &&
    urls.some((url) => url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1))))
}

function ruleTest(rule: any): Test {
  const subjects: Test[] = (rule.subjects ?? []).map(subjectTest)
  const resources: Test[] = (rule.resourceRules ?? []).map(resourceTest)
  const paths: Test[] = (rule.nonResourceRules ?? []).map(pathTest)
  return (user, request) =>
    subjects.some((test) => test(user, request)) &&
    (request.isResource ? resources : paths).some((test) => test(user, request))
}

const flows: Record<string, FlowSchema['flowOf']> = {
  ByUser: (user) => user.name,
  ByNamespace: (_, request) => request.namespace,
}

export function compileSchema({ metadata, spec }: ApiObject): FlowSchema {
  const rules: Test[] = (spec?.rules ?? []).map(ruleTest)
  return {
    name: metadata.name ?? '',
    uid: metadata.uid ?? '',
    level: spec?.priorityLevelConfiguration?.name ?? '',
    flowOf: flows[spec?.distinguisherMethod?.type] ?? (() => ''),
    matches: (user, request) => rules.some((test) => test(user, request)),
  }
}

/** The one with the lowest precedence number comes first; among equals the name decides. */
export const inOrder = (schemas: readonly ApiObject[]): FlowSchema[] =>
  [...schemas]
    .sort(
      (a, b) =>
        (a.spec?.matchingPrecedence ?? 0) - (b.spec?.matchingPrecedence ?? 0) ||
        ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1),
    )
    .map(compileSchema)
