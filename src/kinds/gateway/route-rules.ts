// The rules of HTTPRoute that its schema does not say (gateway-api apis/v1/httproute_types.go and shared_types.go, 1.5).

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { parseDurationNanos } from '../../api/time.ts'
import { invalidValue } from '../../api/walk/rules.ts'

const listOf = (value: unknown): any[] => (Array.isArray(value) ? value : [])
const mostMatches = 128

type Say = (field: string, message: string, type?: 'array' | 'object') => void

const filterField: Record<string, string> = {
  CORS: 'cors',
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  RequestMirror: 'requestMirror',
  RequestRedirect: 'requestRedirect',
  URLRewrite: 'urlRewrite',
  ExtensionRef: 'extensionRef',
}

const once = ['CORS', 'RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestRedirect', 'URLRewrite']

const pathCharacters = /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$/

function checkPath(path: any, at: string, say: Say): void {
  const { type, value = '' } = path ?? {}
  if (type !== 'Exact' && type !== 'PathPrefix') return
  const where = "when type one of ['Exact', 'PathPrefix']"
  if (!value.startsWith('/')) say(at, `value must be an absolute path and start with '/' ${where}`)
  for (const part of ['//', '/./', '/../', '%2f', '%2F', '#'])
    if (value.includes(part)) say(at, `must not contain '${part}' ${where}`)
  for (const end of ['/..', '/.']) if (value.endsWith(end)) say(at, `must not end with '${end}' ${where}`)
  if (!pathCharacters.test(value))
    say(at, `must only contain valid characters (matching ${pathCharacters.source}) for types ['Exact', 'PathPrefix']`)
}

function checkModifier(modifier: any, at: string, say: Say): void {
  for (const [field, type] of [
    ['replaceFullPath', 'ReplaceFullPath'],
    ['replacePrefixMatch', 'ReplacePrefixMatch'],
  ] as const) {
    if (modifier.type === type && modifier[field] === undefined)
      say(at, `${field} must be specified when type is set to '${type}'`)
    if (modifier.type !== type && modifier[field] !== undefined) say(at, `type must be '${type}' when ${field} is set`)
  }
}

/** A Service is meant where neither group nor kind say otherwise. */
function checkBackend({ group = '', kind = 'Service', port }: any, at: string, say: Say): void {
  if (group === '' && kind === 'Service' && port === undefined) say(at, 'Must have port for Service reference')
}

function checkFilter(filter: any, at: string, say: Say): void {
  for (const [type, field] of Object.entries(filterField)) {
    if (filter[field] !== undefined && filter.type !== type)
      say(at, `filter.${field} must be nil if the filter.type is not ${type}`)
    if (filter[field] === undefined && filter.type === type)
      say(at, `filter.${field} must be specified for ${type} filter.type`)
  }
  const { requestMirror: mirror, requestRedirect: redirect, urlRewrite: rewrite, cors } = filter
  if (redirect?.path) checkModifier(redirect.path, `${at}.requestRedirect.path`, say)
  if (rewrite?.path) checkModifier(rewrite.path, `${at}.urlRewrite.path`, say)
  if (mirror) checkMirror(mirror, `${at}.requestMirror`, say)
  if (!cors) return
  for (const [field, words] of [
    ['allowHeaders', "AllowHeaders cannot contain '*' alongside other methods"],
    ['allowMethods', "AllowMethods cannot contain '*' alongside other methods"],
    ['allowOrigins', "AllowOrigins cannot contain '*' alongside other origins"],
  ] as const) {
    const values = listOf(cors[field])
    if (values.length > 1 && values.includes('*')) say(`${at}.cors.${field}`, words, 'array')
  }
}

function checkMirror({ percent, fraction, backendRef }: any, at: string, say: Say): void {
  if (percent !== undefined && fraction !== undefined)
    say(at, 'Only one of percent or fraction may be specified in HTTPRequestMirrorFilter')
  if (fraction && fraction.numerator > fraction.denominator)
    say(`${at}.fraction`, 'numerator must be less than or equal to denominator')
  checkBackend(backendRef ?? {}, `${at}.backendRef`, say)
}

function checkFilters(filters: any[], at: string, say: Say): void {
  const count = (type: string) => filters.filter((filter) => filter?.type === type).length
  if (count('RequestRedirect') > 0 && count('URLRewrite') > 0)
    say(at, 'May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both', 'array')
  for (const type of once) if (count(type) > 1) say(at, `${type} filter cannot be repeated`, 'array')
  for (const [index, filter] of filters.entries()) checkFilter(filter ?? {}, `${at}[${index}]`, say)
}

function checkRule(rule: any, at: string, say: Say): void {
  const { matches, timeouts = {} } = rule
  const filters = listOf(rule.filters)
  const backends = listOf(rule.backendRefs)
  if (backends.length > 0 && filters.some((filter) => filter?.requestRedirect))
    say(at, 'RequestRedirect filter must not be used together with backendRefs')
  const [first] = listOf(matches)
  const hasOnePrefix = listOf(matches).length === 1 && first?.path?.type === 'PathPrefix'
  for (const [field, word, inner] of [
    ['requestRedirect', 'When using RequestRedirect', 'Within backendRefs, when using RequestRedirect'],
    ['urlRewrite', 'When using URLRewrite', 'Within backendRefs, When using URLRewrite'],
  ] as const) {
    const replaces = (filter: any) => filter?.[field]?.path?.replacePrefixMatch !== undefined
    const rest = 'filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified'
    if (filters.some(replaces) && !hasOnePrefix) say(at, `${word} ${rest}`)
    if (backends.some((backend) => listOf(backend?.filters).some(replaces)) && !hasOnePrefix)
      say(at, `${inner} ${rest}`)
  }
  checkFilters(filters, `${at}.filters`, say)
  for (const [index, match] of listOf(matches).entries()) checkPath(match?.path, `${at}.matches[${index}].path`, say)
  for (const [index, backend] of backends.entries()) {
    checkBackend(backend ?? {}, `${at}.backendRefs[${index}]`, say)
    checkFilters(listOf(backend?.filters), `${at}.backendRefs[${index}].filters`, say)
  }
  const whole = parseDurationNanos(timeouts.request ?? '0s')
  const part = parseDurationNanos(timeouts.backendRequest ?? '0s')
  if (whole && part && part > whole)
    say(`${at}.timeouts`, 'backendRequest timeout cannot be longer than request timeout')
}

/** Two references to one parent need different sections. */
function checkParents(parents: any[], say: Say): void {
  const seen = new Map<string, string[]>()
  for (const { group, kind, namespace = '', name, sectionName = '' } of parents) {
    const key = JSON.stringify([group, kind, namespace, name])
    seen.set(key, [...(seen.get(key) ?? []), sectionName])
  }
  const repeated = [...seen.values()].filter((sections) => sections.length > 1)
  const when = 'when parentRefs includes 2 or more references to the same parent'
  if (repeated.some((sections) => sections.includes('') && sections.some(Boolean)))
    say('spec.parentRefs', `sectionName must be specified ${when}`, 'array')
  if (repeated.some((sections) => new Set(sections).size < sections.length))
    say('spec.parentRefs', `sectionName must be unique ${when}`, 'array')
}

export function validateRoute({ spec = {} }: ApiObject): FieldError[] {
  const errors: FieldError[] = []
  const say: Say = (field, message, type = 'object') => errors.push(invalidValue(field, type, message))
  checkParents(listOf(spec.parentRefs), say)
  const rules = listOf(spec.rules)
  const matches = rules.reduce((count, rule) => count + listOf(rule?.matches).length, 0)
  if (matches > mostMatches)
    say(
      'spec.rules',
      'While 16 rules and 64 matches per rule are allowed, the total number of matches across all rules in a route must be less than 128',
      'array',
    )
  for (const [index, rule] of rules.entries()) checkRule(rule ?? {}, `spec.rules[${index}]`, say)
  return errors
}
