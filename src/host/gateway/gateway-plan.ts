// From the objects of Gateway API to what is listened on, who is asked, and what all their statuses say (pure).

import type { StoredObject } from '../../api/meta.ts'
import { type AttachmentFacts, attachments } from './attachment.ts'
import { type Condition, no } from './condition.ts'
import { type Listener, type ListenerFacts, planListeners, schemeOf } from './listeners.ts'
import { byPrecedence, type Entry } from './match.ts'
import { type Rule, type RuleFacts, readyRules, unsupportedValue } from './rules.ts'
import type { ParentReference } from './specs.ts'

export interface GatewayWorld extends ListenerFacts, RuleFacts {
  /** Those of our classes. */
  gateways: readonly StoredObject[]
  routes: readonly StoredObject[]
  labelsOf: AttachmentFacts['labelsOf']
}

/** Everybody who shares a port and a name. */
export interface Site {
  entries: Entry<Rule>[]
  certificates: Listener['certificates']
}

export interface Front {
  scheme: 'http' | 'https'
  /** By hostname. */
  sites: Map<string, Site>
}

export interface RouteStatus {
  route: StoredObject
  parents: { parent: ParentReference; conditions: Condition[] }[]
}

export interface GatewayPlan {
  /** By port. */
  fronts: Map<number, Front>
  gateways: { gateway: StoredObject; listeners: (Listener & { attached: number })[] }[]
  routes: RouteStatus[]
}

const keyOf = ({ metadata }: StoredObject): string => `${metadata.namespace}/${metadata.name}`
const ageOf = (object: StoredObject): string => `${object.metadata.creationTimestamp} ${keyOf(object)}`
const byAge = (a: StoredObject, b: StoredObject): number => (ageOf(a) < ageOf(b) ? -1 : 1)

export function planGateways(world: GatewayWorld): GatewayPlan {
  const gateways = world.gateways.toSorted(byAge)
  const listeners = planListeners(gateways, world)
  const byGateway = new Map<string, Listener[]>(gateways.map((gateway) => [keyOf(gateway), []]))
  const fronts = new Map<number, Front>()
  for (const listener of listeners) {
    byGateway.get(keyOf(listener.gateway))!.push(listener)
    if (listener.isServed) siteOf(fronts, listener).certificates.push(...listener.certificates)
  }
  const attached = new Map<Listener, number>()
  const routes = world.routes.toSorted(byAge).map((route) => {
    const found = attachments(route, { listeners: byGateway, labelsOf: world.labelsOf })
    if (found.length === 0) return { route, parents: [] }
    const unsupported = unsupportedValue(route)
    const { rules, resolved } = unsupported ? { rules: [], resolved: undefined } : readyRules(route, world)
    const parents = found.map(({ parent, accepted, listeners: places }) => {
      const verdict = unsupported ? no('Accepted', 'UnsupportedValue', unsupported) : accepted
      for (const { listener, hostnames } of unsupported ? [] : places) {
        attached.set(listener, (attached.get(listener) ?? 0) + 1)
        if (listener.isServed) addRules(siteOf(fronts, listener).entries, rules, hostnames, ageOf(route))
      }
      return { parent, conditions: resolved ? [verdict, resolved] : [verdict] }
    })
    return { route, parents }
  })
  for (const { sites } of fronts.values()) for (const { entries } of sites.values()) entries.sort(byPrecedence)
  return {
    fronts,
    routes,
    gateways: gateways.map((gateway) => ({
      gateway,
      listeners: byGateway.get(keyOf(gateway))!.map((one) => ({ ...one, attached: attached.get(one) ?? 0 })),
    })),
  }
}

function siteOf(fronts: Map<number, Front>, { spec, hostname }: Listener): Site {
  const front = fronts.get(spec.port) ?? { scheme: schemeOf(spec), sites: new Map() }
  fronts.set(spec.port, front)
  const site = front.sites.get(hostname) ?? { entries: [], certificates: [] }
  front.sites.set(hostname, site)
  return site
}

function addRules(entries: Entry<Rule>[], rules: Rule[], hostnames: string[], age: string): void {
  for (const hostname of hostnames)
    for (const rule of rules) for (const match of rule.matches) entries.push({ hostname, match, rule, age })
}
