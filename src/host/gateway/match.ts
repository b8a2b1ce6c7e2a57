// Which rule of which route a request meets: matches and their precedence (gateway-api, HTTPRouteRule.matches, 1.5). Of
// regular expressions upstream leaves the place open: here they come after exact paths and before prefixes. Pure.

import { matchesPattern } from '../../api/walk/pattern.ts'
import { bySpecificity, covers } from './hostnames.ts'
import type { RouteMatch, ValueMatch } from './specs.ts'

/** A request as far as routes look at it. */
export interface Asked {
  /** In small letters, without a port. */
  host: string
  /** As it was sent, without the query. */
  path: string
  query: URLSearchParams
  method: string
  headers: Record<string, string | string[] | undefined>
}

export interface Entry<Rule> {
  hostname: string
  match: RouteMatch
  rule: Rule
  /** Of the route: when it was made and what it is called. */
  age: string
}

const ranks = { Exact: 0, RegularExpression: 1, PathPrefix: 2 }

const pathOf = ({ path }: RouteMatch) => ({ type: path?.type ?? ('PathPrefix' as const), value: path?.value ?? '/' })

/** Entries of one route must come in its order: what is alike stays in the order in which it came. */
export function byPrecedence<Rule>(a: Entry<Rule>, b: Entry<Rule>): number {
  const [path, other] = [pathOf(a.match), pathOf(b.match)]
  return (
    bySpecificity(a.hostname, b.hostname) ||
    ranks[path.type] - ranks[other.type] ||
    other.value.length - path.value.length ||
    Number(b.match.method !== undefined) - Number(a.match.method !== undefined) ||
    (b.match.headers?.length ?? 0) - (a.match.headers?.length ?? 0) ||
    (b.match.queryParams?.length ?? 0) - (a.match.queryParams?.length ?? 0) ||
    (a.age < b.age ? -1 : Number(a.age > b.age))
  )
}

/** A slash at the end of a prefix says nothing. */
export const trimmed = (prefix: string): string => (prefix.endsWith('/') ? prefix.slice(0, -1) : prefix)

/** As Envoy and others have it: the whole of the value. */
const matchesWhole = (pattern: string, text: string): boolean => matchesPattern(`^(?:${pattern})$`, text)

function fitsPath(match: RouteMatch, asked: string): boolean {
  const { type, value } = pathOf(match)
  if (type === 'Exact') return asked === value
  if (type === 'RegularExpression') return matchesWhole(value, asked)
  const prefix = trimmed(value)
  return prefix === '' || asked === prefix || asked.startsWith(`${prefix}/`)
}

const fitsValue = ({ type, value }: ValueMatch, given: string | undefined): boolean =>
  given !== undefined && (type === 'RegularExpression' ? matchesWhole(value, given) : given === value)

const headerOf = (headers: Asked['headers'], name: string): string | undefined => {
  const value = headers[name.toLowerCase()]
  return Array.isArray(value) ? value.join(',') : value
}

/** Of several with the same name the first is looked at. */
function firstOfEach(values: readonly ValueMatch[] = [], fold = (name: string) => name): ValueMatch[] {
  const seen = new Set<string>()
  return values.filter(({ name }) => !seen.has(fold(name)) && seen.add(fold(name)))
}

export function fits({ hostname, match }: Pick<Entry<unknown>, 'hostname' | 'match'>, asked: Asked): boolean {
  return (
    covers(hostname, asked.host) &&
    (match.method === undefined || match.method === asked.method) &&
    fitsPath(match, asked.path) &&
    firstOfEach(match.headers, (name) => name.toLowerCase()).every((one) =>
      fitsValue(one, headerOf(asked.headers, one.name)),
    ) &&
    firstOfEach(match.queryParams).every((one) => fitsValue(one, asked.query.get(one.name) ?? undefined))
  )
}

/** `entries` in the order of their precedence. */
export const findEntry = <Rule>(entries: readonly Entry<Rule>[], asked: Asked): Entry<Rule> | undefined =>
  entries.find((entry) => fits(entry, asked))
