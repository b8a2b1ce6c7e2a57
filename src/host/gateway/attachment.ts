// Which listeners a route is attached to, and what its status says of each parent (gateway-api, ParentReference and
// RouteParentStatus, 1.5). Pure.

import type { StoredObject } from '../../api/meta.ts'
import { type Labels, selectorMatcher } from '../../api/selector.ts'
import { type Condition, no, yes } from './condition.ts'
import { sharedHostnames } from './hostnames.ts'
import type { Listener } from './listeners.ts'
import { gatewayGroup, type ParentReference, type RouteSpec } from './specs.ts'

export interface Attachment {
  parent: ParentReference
  accepted: Condition
  /** With the names that listener and route share. */
  listeners: { listener: Listener; hostnames: string[] }[]
}

export interface AttachmentFacts {
  /** By 'namespace/name': those that are ours. */
  listeners: ReadonlyMap<string, readonly Listener[]>
  labelsOf(namespace: string): Labels | undefined
}

/** One for each reference to a Gateway of ours. */
export function attachments(route: StoredObject, facts: AttachmentFacts): Attachment[] {
  const { parentRefs = [], hostnames } = route.spec as unknown as RouteSpec
  const own = route.metadata.namespace ?? ''
  return parentRefs.flatMap((parent) => {
    const { group = gatewayGroup, kind = 'Gateway', namespace = own, name } = parent
    const listeners = facts.listeners.get(`${namespace}/${name}`)
    if (group !== gatewayGroup || kind !== 'Gateway' || !listeners) return []
    return [{ parent, ...attach(parent, listeners, own, hostnames, facts) }]
  })
}

function attach(
  { sectionName, port }: ParentReference,
  all: readonly Listener[],
  namespace: string,
  hostnames: string[] | undefined,
  { labelsOf }: AttachmentFacts,
): Omit<Attachment, 'parent'> {
  const refused = (reason: string, message: string) => ({ accepted: no('Accepted', reason, message), listeners: [] })
  const named = all.filter(
    ({ spec }) => (!sectionName || spec.name === sectionName) && (port === undefined || spec.port === port),
  )
  if (named.length === 0) {
    const wanted = [sectionName && `named ${sectionName}`, port !== undefined && `with port ${port}`].filter(Boolean)
    return refused('NoMatchingParent', `the Gateway has no listener ${wanted.join(' ')}`)
  }
  const allowed = named.filter((listener) => allows(listener, namespace, labelsOf))
  if (allowed.length === 0)
    return refused('NotAllowedByListeners', `no listener takes HTTPRoutes of namespace ${namespace}`)
  const listeners = allowed
    .map((listener) => ({ listener, hostnames: sharedHostnames(listener.hostname, hostnames) }))
    .filter(({ hostnames: shared }) => shared.length > 0)
  if (listeners.length === 0)
    return refused('NoMatchingListenerHostname', `no listener has a hostname of ${hostnames?.join(', ')}`)
  return { accepted: yes('Accepted', 'Accepted'), listeners }
}

function allows(
  { spec, gateway, supportedKinds }: Listener,
  namespace: string,
  labelsOf: AttachmentFacts['labelsOf'],
): boolean {
  if (supportedKinds.length === 0) return false
  const { from = 'Same', selector } = spec.allowedRoutes?.namespaces ?? {}
  if (from === 'All') return true
  if (from === 'Same') return gateway.metadata.namespace === namespace
  const labels = labelsOf(namespace)
  return Boolean(selector && labels && selectorMatcher(selector).matches(labels))
}
