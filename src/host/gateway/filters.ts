// What filters make of a request and of its answer: headers, another path or host, or a redirect (gateway-api,
// HTTPRouteFilter, 1.5). Pure.

import { trimmed } from './match.ts'
import type { HeaderFilter, PathModifier, Redirect } from './specs.ts'

type Headers = Record<string, string | string[]>

/** Changes `headers`, whose names are in small letters, in place. */
export function changeHeaders(headers: Headers, { set = [], add = [], remove = [] }: HeaderFilter): void {
  for (const name of remove) delete headers[name.toLowerCase()]
  for (const { name, value } of set) headers[name.toLowerCase()] = value
  for (const { name, value } of add) {
    const key = name.toLowerCase()
    const before = headers[key]
    headers[key] = before === undefined ? value : [before, value].flat()
  }
}

/** `prefix` is what the request met, where it met a prefix. */
export function changedPath(path: string, prefix: string, modifier: PathModifier | undefined): string {
  if (!modifier) return path
  if (modifier.type === 'ReplaceFullPath') return modifier.replaceFullPath || '/'
  const rest = path.slice(trimmed(prefix).length)
  return `${trimmed(modifier.replacePrefixMatch ?? '')}${rest}` || '/'
}

export interface Redirected {
  host: string
  /** The listener's. */
  port: number
  scheme: 'http' | 'https'
  path: string
  /** With its question mark, or ''. */
  search: string
  prefix: string
}

const wellKnown = { http: 80, https: 443 }

export function locationOf(redirect: Redirect, asked: Redirected): string {
  const scheme = redirect.scheme ?? asked.scheme
  const port = redirect.port ?? (redirect.scheme ? wellKnown[redirect.scheme] : asked.port)
  const shown = port === wellKnown[scheme] ? '' : `:${port}`
  return `${scheme}://${redirect.hostname ?? asked.host}${shown}${changedPath(asked.path, asked.prefix, redirect.path)}${asked.search}`
}

/** One of `weighted`, each as often as its weight says; `chance` is from 0 up to 1. Undefined when nobody has a weight. */
export function weightedChoice<T extends { weight?: number }>(weighted: readonly T[], chance: number): T | undefined {
  const total = weighted.reduce((sum, { weight = 1 }) => sum + weight, 0)
  let rest = chance * total
  for (const one of weighted) {
    const weight = one.weight ?? 1
    if (rest < weight) return one
    rest -= weight
  }
  return undefined
}
