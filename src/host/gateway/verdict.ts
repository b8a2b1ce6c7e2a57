// What the rules say of one request: a redirect, a refusal, or whom to ask and what to change. Pure but for the dice.

import type { Answer, Headers, Place } from '../ingress/passage.ts'
import { type Cors, preflight } from './cors.ts'
import { changedPath, changeHeaders, locationOf, weightedChoice } from './filters.ts'
import type { Front } from './gateway-plan.ts'
import { mostSpecific } from './hostnames.ts'
import { type Asked, type Entry, findEntry } from './match.ts'
import type { Rule, Target } from './rules.ts'
import type { HeaderFilter } from './specs.ts'

export interface Verdict {
  target: Target
  path: string
  host?: string
  requestChanges: HeaderFilter[]
  responseChanges: HeaderFilter[]
  cors?: Cors
  mirrors: Target[]
  timeoutMs?: number
}

/** `search` with its question mark, or ''. */
export type Request = Asked & { search: string }

const misdirected: Answer = { status: 421, message: 'this connection was made for another host' }
const broken: Answer = { status: 500, message: 'the route has no backend that can be asked' }

/** Undefined: no route is for this. `dice` gives numbers from 0 up to 1. */
export function verdictOn(
  front: Front,
  asked: Request,
  place: Place,
  dice: () => number,
): Verdict | Answer | undefined {
  const name = mostSpecific(front.sites.keys(), asked.host)
  if (name === undefined) return undefined
  // A connection is for the listener whose certificate it was shown (RFC 9110, 15.5.20).
  if (place.servername && mostSpecific(front.sites.keys(), place.servername) !== name) return misdirected
  const entry = findEntry(front.sites.get(name)!.entries, asked)
  if (!entry) return undefined
  const cors = entry.rule.filters.find((filter) => filter.cors)?.cors
  const early = cors && preflight(cors, asked)
  return early ?? redirected(entry, asked, place) ?? forwarded(entry, asked, dice)
}

/** Only a prefix can be replaced: the rules see to that. */
const prefixOf = ({ match }: Entry<Rule>): string => match.path?.value ?? '/'

function redirected(entry: Entry<Rule>, asked: Request, { port, scheme }: Place): Answer | undefined {
  const { filters } = entry.rule
  const redirect = filters.find(({ requestRedirect }) => requestRedirect)?.requestRedirect
  if (!redirect) return undefined
  const { host, path, search } = asked
  const location = locationOf(redirect, { host, port, scheme, path, search, prefix: prefixOf(entry) })
  const headers: Headers = { location }
  for (const { responseHeaderModifier: change } of filters) if (change) changeHeaders(headers, change)
  return { status: redirect.statusCode ?? 302, message: '', headers }
}

function forwarded(entry: Entry<Rule>, { path, search }: Request, dice: () => number): Verdict | Answer {
  const { filters, backends, mirrors, timeoutMs } = entry.rule
  const backend = weightedChoice(backends, dice())
  if (!backend?.target) return broken
  const all = [...filters, ...backend.filters]
  const cors = filters.find((filter) => filter.cors)?.cors
  const rewrite = filters.find(({ urlRewrite }) => urlRewrite)?.urlRewrite
  return {
    target: backend.target,
    path: changedPath(path, prefixOf(entry), rewrite?.path) + search,
    ...(rewrite?.hostname && { host: rewrite.hostname }),
    requestChanges: all.flatMap(({ requestHeaderModifier }) => requestHeaderModifier ?? []),
    responseChanges: all.flatMap(({ responseHeaderModifier }) => responseHeaderModifier ?? []),
    ...(cors && { cors }),
    mirrors: mirrors.filter(({ chance }) => chance >= 1 || dice() < chance).map(({ target }) => target),
    ...(timeoutMs !== undefined && { timeoutMs }),
  }
}
