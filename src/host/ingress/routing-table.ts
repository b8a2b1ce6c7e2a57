// From Ingress objects to "which backend serves this host and path" (pure; the rules of networking/v1 IngressRule, 1.36).

import type { StoredObject } from '../../api/meta.ts'

export interface Backend {
  /** 'namespace/name' of the Ingress that says so. */
  ingress: string
  namespace: string
  service: string
  port: { name?: string; number?: number }
}

interface Route {
  path: string
  exact: boolean
  backend: Backend
}

interface Host {
  routes: Route[]
  /** For paths that no rule of the host names. */
  fallback?: Backend
}

export interface RoutingTable {
  /** By name: 'shop.example.com', '*.example.com', '' for every other. */
  hosts: Map<string, Host>
  fallback?: Backend
  /** Names of hosts → the Secret with their certificate; '' for TLS without names. */
  certificates: Map<string, { namespace: string; secret: string }>
}

interface BackendSpec {
  service?: { name: string; port?: { name?: string; number?: number } }
  resource?: object
}

interface IngressSpec {
  defaultBackend?: BackendSpec
  rules?: { host?: string; http?: { paths?: { path?: string; pathType?: string; backend?: BackendSpec }[] } }[]
  tls?: { hosts?: string[]; secretName?: string }[]
}

const byAge = (a: StoredObject, b: StoredObject): number => {
  const key = ({ metadata }: StoredObject) => `${metadata.creationTimestamp} ${metadata.namespace}/${metadata.name}`
  return key(a) < key(b) ? -1 : 1
}

function backendOf(ingress: StoredObject, spec: BackendSpec | undefined): Backend | undefined {
  if (!spec?.service && !spec?.resource) return undefined
  const { namespace = '', name } = ingress.metadata
  return {
    ingress: `${namespace}/${name}`,
    namespace,
    // A backend that is some other object is nobody here: its requests are answered with 503.
    service: spec.service?.name ?? '',
    port: spec.service?.port ?? {},
  }
}

/** Of two Ingresses that claim the same, the older one has it. */
export function routingTable(ingresses: StoredObject[]): RoutingTable {
  const table: RoutingTable = { hosts: new Map(), certificates: new Map() }
  for (const ingress of ingresses.toSorted(byAge)) addIngress(table, ingress)
  // The longest path first; of two alike the exact one.
  for (const { routes } of table.hosts.values())
    routes.sort((a, b) => b.path.length - a.path.length || Number(b.exact) - Number(a.exact))
  return table
}

function addIngress(table: RoutingTable, ingress: StoredObject): void {
  const spec = (ingress.spec ?? {}) as IngressSpec
  const fallback = backendOf(ingress, spec.defaultBackend)
  if (fallback) table.fallback ??= fallback
  for (const { host = '', http } of spec.rules ?? []) {
    const name = host.toLowerCase()
    const entry = table.hosts.get(name) ?? { routes: [] }
    table.hosts.set(name, entry)
    if (fallback) entry.fallback ??= fallback
    for (const { path = '/', pathType, backend: wanted } of http?.paths ?? []) {
      const backend = backendOf(ingress, wanted)
      const exact = pathType === 'Exact'
      const isTaken = entry.routes.some((route) => route.exact === exact && samePath(route.path, path, exact))
      if (backend && !isTaken) entry.routes.push({ path, exact, backend })
    }
  }
  for (const { hosts = [], secretName } of spec.tls ?? []) {
    if (!secretName) continue
    const certificate = { namespace: ingress.metadata.namespace ?? '', secret: secretName }
    for (const host of hosts.length > 0 ? hosts : [''])
      if (!table.certificates.has(host.toLowerCase())) table.certificates.set(host.toLowerCase(), certificate)
  }
}

/** A slash at the end of a prefix says nothing. */
const trimmed = (path: string): string => (path.endsWith('/') ? path.slice(0, -1) : path)
const samePath = (a: string, b: string, exact: boolean): boolean => (exact ? a === b : trimmed(a) === trimmed(b))

/** '/a/b' is within '/a', '/ab' is not. */
const isWithin = (path: string, prefix: string): boolean => {
  const base = trimmed(prefix)
  return path === base || path.startsWith(`${base}/`) || base === ''
}

const fits = ({ path, exact }: Route, asked: string): boolean => (exact ? asked === path : isWithin(asked, path))

/** '*.example.com' stands for exactly one label. */
export function namesFor(host: string): string[] {
  const name = host.toLowerCase()
  const dot = name.indexOf('.')
  return dot > 0 ? [name, `*${name.slice(dot)}`, ''] : [name, '']
}

export function findBackend(table: RoutingTable, host: string, path: string): Backend | undefined {
  for (const name of namesFor(host)) {
    const entry = table.hosts.get(name)
    const route = entry?.routes.find((each) => fits(each, path))
    if (route) return route.backend
    // The most specific host decides, also by having no such path.
    if (entry) return entry.fallback ?? table.fallback
  }
  return table.fallback
}
