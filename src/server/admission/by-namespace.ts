// Objects of a resource that admission asks for with every write in a namespace: kept until one of them changes.

import type { StoredObject } from '../../api/meta.ts'
import type { Objects } from '../objects.ts'
import type { Registry } from '../registry.ts'

export type ByNamespace = (namespace: string) => readonly StoredObject[]

const none: readonly StoredObject[] = []

export function createByNamespace(objects: Objects, registry: Registry, group: string, plural: string): ByNamespace {
  const resource = registry.preferred(group, plural)
  if (!resource) return () => none
  const known = new Map<string, readonly StoredObject[]>()
  let total: number | undefined
  objects.watch(resource, '', objects.store.revision(), (changes) => {
    total = undefined
    for (const { object } of changes) known.delete(object.metadata.namespace ?? '')
  })
  return (namespace) => {
    // Most clusters have none at all.
    total ??= objects.count(resource, '')
    if (total === 0) return none
    let found = known.get(namespace)
    if (!found) {
      found = objects.list(resource, namespace).map(({ object }) => object)
      known.set(namespace, found)
    }
    return found
  }
}
