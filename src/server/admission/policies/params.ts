// The params of a binding: objects that its expressions see beside the request.

import type { StoredObject } from '../../../api/meta.ts'
import { selectorMatcher } from '../../../api/selector.ts'
import type { Objects } from '../../objects.ts'
import type { Registry, Resource } from '../../registry.ts'
import type { Binding, Policy } from './policy.ts'

export interface ParamTools {
  objects: Objects
  registry: Registry
}

/** The policy or the binding cannot be followed as it is written. */
export class Misconfigured extends Error {
  /** 'policy' or 'binding' */
  readonly part: 'policy' | 'binding'
  constructor(part: 'policy' | 'binding', message: string) {
    super(message)
    this.part = part
  }
}

/** @throws Misconfigured */
export function paramResource({ paramKind }: Policy, { registry }: ParamTools): Resource | undefined {
  if (!paramKind) return undefined
  const [group, version] = paramKind.apiVersion.includes('/')
    ? paramKind.apiVersion.split('/')
    : ['', paramKind.apiVersion]
  const found = registry.findKind(group!, version!, paramKind.kind)
  if (found && !found.kind.virtual) return found
  const shown = `${group ? `${group}/` : '/'}${version}, Kind=${paramKind.kind}`
  throw new Misconfigured('policy', `failed to find resource referenced by paramKind: '${shown}'`)
}

/**
 * What the expressions are evaluated with, once per param: null when there is none to name; no item: they do not apply.
 * @throws Misconfigured
 */
export function collectParams(
  resource: Resource | undefined,
  { paramRef }: Binding,
  namespace: string,
  { objects }: ParamTools,
): (StoredObject | null)[] {
  if (!resource || !paramRef) return [null]
  if (!resource.namespaced && paramRef.namespace) {
    throw new Misconfigured('binding', 'paramRef.namespace must not be provided for a cluster-scoped `paramKind`')
  }
  const where = resource.namespaced ? paramRef.namespace || namespace : ''
  if (resource.namespaced && !where) {
    throw new Misconfigured(
      'binding',
      'cannot use namespaced paramRef in policy binding that matches cluster-scoped resources',
    )
  }
  const found = find(resource, where, paramRef, objects)
  if (found.length === 0 && paramRef.parameterNotFoundAction === 'Deny') {
    throw new Misconfigured('binding', 'no params found for policy binding with `Deny` parameterNotFoundAction')
  }
  return found
}

function find(resource: Resource, namespace: string, ref: Record<string, any>, objects: Objects): StoredObject[] {
  if (ref.name) {
    const stored = objects.get(resource, namespace, ref.name)
    return stored ? [stored.object] : []
  }
  const selector = selectorMatcher(ref.selector ?? {})
  const all = objects.list(resource, namespace).map(({ object }) => object)
  return all.filter(({ metadata }) => selector.matches(metadata.labels))
}
