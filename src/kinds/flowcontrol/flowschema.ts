// FlowSchema: which requests belong to which priority level, and which of them are one flow.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dnsLabelProblems, dnsSubdomainProblems } from '../../api/names.ts'
import { ageColumn } from '../../api/table.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { none, text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import { validateConditionTypes } from './conditions.ts'
import { mandatorySchemas } from './defaults.ts'

const methods = ['ByNamespace', 'ByUser']
const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'proxy', 'update', 'watch']
const part: Record<string, string> = { ServiceAccount: 'serviceAccount', User: 'user', Group: 'group' }

const listOf = (value: unknown): any[] => (Array.isArray(value) ? value : [])

function validateSubject(subject: any, path: string): FieldError[] {
  const kind: string = subject?.kind ?? ''
  const own = part[kind]
  if (!own) return [notSupported(`${path}.kind`, kind, ['Group', 'ServiceAccount', 'User'])]
  const errors: FieldError[] = []
  const named = subject[own]
  if (!named) errors.push(requiredValue(`${path}.${own}`, `${own} is required when subject kind is '${kind}'`))
  else if (!named.name) errors.push(requiredValue(`${path}.${own}.name`))
  if (named && own === 'serviceAccount') {
    if (named.name && named.name !== '*')
      for (const problem of dnsSubdomainProblems(named.name))
        errors.push(invalidValue(`${path}.${own}.name`, named.name, problem))
    if (!named.namespace)
      errors.push(requiredValue(`${path}.${own}.namespace`, 'must specify namespace for service account'))
    else
      for (const problem of dnsLabelProblems(named.namespace))
        errors.push(invalidValue(`${path}.${own}.namespace`, named.namespace, problem))
  }
  for (const [other, field] of Object.entries(part))
    if (field !== own && subject[field])
      errors.push(forbidden(`${path}.${field}`, `${field} is forbidden when subject kind is not '${other}'`))
  return errors
}

/** A list that must not be empty and holds '*' only alone. */
function validateNames(names: unknown[], path: string, what: string, missing: string): FieldError[] {
  if (names.length === 0) return [requiredValue(path, missing)]
  return names.includes('*') && names.length > 1
    ? [invalidValue(path, names, `if '*' is present, must not specify other ${what}`)]
    : []
}

function validateVerbs(given: string[], path: string): FieldError[] {
  const errors = validateNames(given, path, 'verbs', 'verbs must contain at least one value')
  if (errors.length > 0 || given.includes('*') || given.every((verb) => verbs.includes(verb))) return errors
  return [notSupported(path, given, verbs)]
}

function validateUrl(url: string, path: string): FieldError[] {
  const say = (problem: string) => [invalidValue(path, url, problem)]
  if (!url) return say('must not be empty')
  if (url === '/') return []
  if (!url.startsWith('/')) return say('must start with slash')
  if (url.includes(' ')) return say('must not contain white-space')
  if (url.includes('//')) return say('must not contain double slash')
  const stars = url.split('*').length - 1
  if (stars > 1 || (stars === 1 && !url.endsWith('*'))) return say('wildcard can only do suffix matching')
  return []
}

function validateResourceRule(rule: any, path: string): FieldError[] {
  const [groups, resources, namespaces] = [rule?.apiGroups, rule?.resources, rule?.namespaces].map(listOf)
  const errors = [
    ...validateVerbs(listOf(rule?.verbs), `${path}.verbs`),
    ...validateNames(groups!, `${path}.apiGroups`, 'api groups', 'resource rules must supply at least one api group'),
    ...validateNames(resources!, `${path}.resources`, 'resources', 'resource rules must supply at least one resource'),
  ]
  const field = `${path}.namespaces`
  if (namespaces!.length === 0) {
    const missing = 'resource rules that are not cluster scoped must supply at least one namespace'
    return rule?.clusterScope ? errors : [...errors, requiredValue(field, missing)]
  }
  if (namespaces!.includes('*')) return [...errors, ...validateNames(namespaces!, field, 'namespaces', '')]
  return [
    ...errors,
    ...namespaces!.flatMap((name, index) =>
      dnsLabelProblems(name).map((problem) =>
        invalidValue(
          `${field}[${index}]`,
          name,
          `each member of this list must be '*' or a DNS-1123 label; ${problem}`,
        ),
      ),
    ),
  ]
}

function validatePathRule(rule: any, path: string): FieldError[] {
  const urls = listOf(rule?.nonResourceURLs)
  const field = `${path}.nonResourceURLs`
  const missing = 'nonResourceURLs must contain at least one value'
  return [
    ...validateVerbs(listOf(rule?.verbs), `${path}.verbs`),
    ...validateNames(urls, field, 'non-resource URLs', missing),
    ...(urls.includes('*') ? [] : urls.flatMap((url, index) => validateUrl(String(url), `${field}[${index}]`))),
  ]
}

function validateRule(rule: any, path: string): FieldError[] {
  const [who, what, paths] = [rule?.subjects, rule?.resourceRules, rule?.nonResourceRules].map(listOf)
  const errors: FieldError[] = []
  if (who!.length === 0) errors.push(requiredValue(`${path}.subjects`, 'subjects must contain at least one value'))
  if (what!.length === 0 && paths!.length === 0)
    errors.push(requiredValue(path, 'at least one of resourceRules and nonResourceRules has to be non-empty'))
  return [
    ...errors,
    ...who!.flatMap((subject, index) => validateSubject(subject, `${path}.subjects[${index}]`)),
    ...what!.flatMap((one, index) => validateResourceRule(one, `${path}.resourceRules[${index}]`)),
    ...paths!.flatMap((one, index) => validatePathRule(one, `${path}.nonResourceRules[${index}]`)),
  ]
}

function validate({ metadata, spec = {}, status }: ApiObject): FieldError[] {
  const errors: FieldError[] = []
  const field = 'spec.matchingPrecedence'
  const say = (problem: string) => errors.push(invalidValue(field, spec.matchingPrecedence, problem))
  if (spec.matchingPrecedence <= 0) say('must be a positive value')
  if (spec.matchingPrecedence > 10000) say('must not be greater than 10000')
  if (spec.matchingPrecedence === 1 && metadata.name !== 'exempt')
    say("only the schema named 'exempt' may have matchingPrecedence 1")
  const method = spec.distinguisherMethod
  if (method && !methods.includes(method.type))
    errors.push(notSupported('spec.distinguisherMethod.type', method.type, methods))
  const level = spec.priorityLevelConfiguration?.name
  const reference = 'spec.priorityLevelConfiguration.name'
  if (!level) errors.push(requiredValue(reference, 'must reference a priority level'))
  else errors.push(...dnsSubdomainProblems(level).map((problem) => invalidValue(reference, level, problem)))
  errors.push(...listOf(spec.rules).flatMap((rule, index) => validateRule(rule, `spec.rules[${index}]`)))
  const fixed = mandatorySchemas.find((object) => object.metadata.name === metadata.name)
  if (fixed && !equalJson(fixed.spec, spec))
    errors.push(invalidValue('spec', spec, `spec of '${metadata.name}' must equal the fixed value`))
  return [...errors, ...validateConditionTypes(status)]
}

function dangling({ status }: ApiObject): string {
  return listOf(status?.conditions).find((condition) => condition.type === 'Dangling')?.status ?? '?'
}

export const flowSchema = defineKind({
  group: 'flowcontrol.apiserver.k8s.io',
  version: 'v1',
  kind: 'FlowSchema',
  plural: 'flowschemas',
  singular: 'flowschema',
  scope: 'Cluster',
  schema: schemaOf('flowcontrol.v1.FlowSchema'),
  types,
  subresources: { status: true },
  columns: [
    text('PriorityLevel', ({ spec }) => spec?.priorityLevelConfiguration?.name ?? ''),
    text('MatchingPrecedence', ({ spec }) => String(spec?.matchingPrecedence ?? 0)),
    text('DistinguisherMethod', ({ spec }) => spec?.distinguisherMethod?.type ?? none),
    ageColumn,
    text('MissingPL', dangling),
  ],
  defaults({ spec }) {
    if (spec && !spec.matchingPrecedence) spec.matchingPrecedence = 1000
  },
  validate,
  example: {
    apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
    kind: 'FlowSchema',
    metadata: { name: 'reports' },
    spec: {
      priorityLevelConfiguration: { name: 'workload-low' },
      matchingPrecedence: 5000,
      distinguisherMethod: { type: 'ByUser' },
      rules: [
        {
          subjects: [{ kind: 'User', user: { name: 'reporter' } }],
          resourceRules: [{ verbs: ['list'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'] }],
        },
      ],
    },
  },
})
