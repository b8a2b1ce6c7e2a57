// The rules of a route made ready for requests, and what is wrong with them (gateway-api, HTTPRouteRule, 1.5). Pure.

import type { StoredObject } from '../../api/meta.ts'
import { parseDurationNanos } from '../../api/time.ts'
import { patternProblem } from '../../api/walk/pattern.ts'
import { type Condition, no, yes } from './condition.ts'
import type { IsGranted } from './references.ts'
import type { Mirror, ObjectReference, RouteFilter, RouteMatch, RouteRule, RouteSpec } from './specs.ts'

export interface Target {
  namespace: string
  service: string
  port: { number: number }
}

export interface Share {
  weight: number
  /** Undefined: nobody who may be asked; these requests are answered with 500. */
  target: Target | undefined
  filters: RouteFilter[]
}

export interface Rule {
  /** 'namespace/name' */
  route: string
  matches: RouteMatch[]
  filters: RouteFilter[]
  backends: Share[]
  /** How often, from 0 to 1. */
  mirrors: { target: Target; chance: number }[]
  timeoutMs?: number
}

export interface RuleFacts {
  isGranted: IsGranted
  service(key: string): StoredObject | undefined
}

const served = [
  'RequestHeaderModifier',
  'ResponseHeaderModifier',
  'RequestRedirect',
  'URLRewrite',
  'RequestMirror',
  'CORS',
]
const servedOfBackends = ['RequestHeaderModifier', 'ResponseHeaderModifier']

/** What belongs to a connection and not to what is said on it. */
const ofConnection = [
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]
const headerValue = /^[\t -~\x80-\xff]*$/
const pathText = /^[!-~]*$/

/** What HTTP could not carry, or would take for the end of a message. */
function badFilter(filter: RouteFilter): string | undefined {
  for (const change of [filter.requestHeaderModifier, filter.responseHeaderModifier]) {
    const written = [...(change?.set ?? []), ...(change?.add ?? [])]
    const names = [...written.map(({ name }) => name), ...(change?.remove ?? [])]
    const own = names.find((name) => ofConnection.includes(name.toLowerCase()))
    if (own) return `header ${own} belongs to the connection and is not changed`
    const odd = written.find(({ value }) => !headerValue.test(value))
    if (odd) return `the value of header ${odd.name} has characters that a header cannot have`
  }
  for (const path of [filter.requestRedirect?.path, filter.urlRewrite?.path])
    if (!pathText.test(`${path?.replaceFullPath ?? ''}${path?.replacePrefixMatch ?? ''}`))
      return 'the path has characters that must be percent-encoded'
  return undefined
}

/** Names the first field that asks for what is not done here. */
export function unsupportedValue(route: StoredObject): string | undefined {
  const { rules = [] } = route.spec as unknown as RouteSpec
  for (const [index, { matches = [], filters = [], backendRefs = [] }] of rules.entries()) {
    const at = `spec.rules[${index}]`
    const filter = filters.find(({ type }) => !served.includes(type))
    if (filter) return `${at}.filters: filters of type ${filter.type} are not served`
    const bad = [...filters, ...backendRefs.flatMap((backend) => backend.filters ?? [])].map(badFilter).find(Boolean)
    if (bad) return `${at}: ${bad}`
    const inner = backendRefs.flatMap((backend) => backend.filters ?? [])
    const other = inner.find(({ type }) => !servedOfBackends.includes(type))
    if (other) return `${at}.backendRefs: filters of type ${other.type} are served for rules, not for backends`
    for (const { path, headers = [], queryParams = [] } of matches)
      for (const { type, value = '' } of [path ?? {}, ...headers, ...queryParams]) {
        const problem = type === 'RegularExpression' ? patternProblem(value) : undefined
        if (problem) return `${at}.matches: ${problem}`
      }
  }
  return undefined
}

/** A reference to a Service, or why there is none to ask. */
function resolve(
  { group = '', kind = 'Service', namespace, name, port }: ObjectReference,
  own: string,
  { isGranted, service }: RuleFacts,
): Target | Condition {
  const place = namespace ?? own
  if (group !== '' || kind !== 'Service')
    return no('ResolvedRefs', 'InvalidKind', `backends of kind ${kind} are not served; Service is`)
  if (!isGranted('HTTPRoute', own, { group, kind, namespace: place, name }))
    return no(
      'ResolvedRefs',
      'RefNotPermitted',
      `no ReferenceGrant in namespace ${place} permits HTTPRoutes of ${own} the Service ${name}`,
    )
  const found = service(`${place}/${name}`)
  const ports: { port?: number; appProtocol?: string }[] = found?.spec?.ports ?? []
  const wanted = ports.find((one) => one.port === port)
  if (!found || !wanted || port === undefined)
    return no('ResolvedRefs', 'BackendNotFound', `there is no Service ${place}/${name} with port ${port}`)
  if (wanted.appProtocol === 'kubernetes.io/h2c')
    return no(
      'ResolvedRefs',
      'UnsupportedProtocol',
      `Service ${place}/${name} speaks ${wanted.appProtocol}, which is not served`,
    )
  return { namespace: place, service: name, port: { number: port } }
}

const isTarget = (one: Target | Condition): one is Target => 'service' in one

const nanosPerMs = 1_000_000n

function shortest(timeouts: RouteRule['timeouts']): number | undefined {
  const given = [timeouts?.request, timeouts?.backendRequest]
    .map((text) => Number((parseDurationNanos(text ?? '0s') ?? 0n) / nanosPerMs))
    .filter((ms) => ms > 0)
  return given.length > 0 ? Math.min(...given) : undefined
}

const chanceOf = ({ percent, fraction }: Mirror): number =>
  fraction ? fraction.numerator / (fraction.denominator ?? 100) : (percent ?? 100) / 100

export function readyRules(route: StoredObject, facts: RuleFacts): { rules: Rule[]; resolved: Condition } {
  const { namespace = '', name } = route.metadata
  let problem: Condition | undefined
  const targetOf = (reference: ObjectReference): Target | undefined => {
    const found = resolve(reference, namespace, facts)
    if (isTarget(found)) return found
    problem ??= found
    return undefined
  }
  const { rules = [] } = route.spec as unknown as RouteSpec
  const ready = rules.map(({ matches, filters = [], backendRefs = [], timeouts }): Rule => {
    const timeoutMs = shortest(timeouts)
    const mirrors = filters.flatMap(({ requestMirror }) => {
      const target = requestMirror && targetOf(requestMirror.backendRef)
      return target ? [{ target, chance: chanceOf(requestMirror) }] : []
    })
    return {
      route: `${namespace}/${name}`,
      matches: matches?.length ? matches : [{}],
      filters,
      backends: backendRefs.map((one) => ({
        weight: one.weight ?? 1,
        target: targetOf(one),
        filters: one.filters ?? [],
      })),
      mirrors,
      ...(timeoutMs !== undefined && { timeoutMs }),
    }
  })
  return { rules: ready, resolved: problem ?? yes('ResolvedRefs', 'ResolvedRefs') }
}
