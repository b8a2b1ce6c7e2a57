// Reads of other objects that admission plugins need: always straight from the store, never stale.

import type { StoredObject } from '../../api/meta.ts'
import type { Objects } from '../objects.ts'
import type { Registry } from '../registry.ts'

export interface Lookup {
  get(group: string, plural: string, namespace: string, name: string): StoredObject | undefined
  list(group: string, plural: string, namespace?: string): StoredObject[]
  serves(group: string, plural: string): boolean
}

export function createLookup(objects: Objects, registry: Registry): Lookup {
  return {
    get(group, plural, namespace, name) {
      const resource = registry.preferred(group, plural)
      return resource && objects.get(resource, namespace, name)?.object
    },
    list(group, plural, namespace = '') {
      const resource = registry.preferred(group, plural)
      return resource ? objects.list(resource, namespace).map((stored) => stored.object) : []
    },
    serves: (group, plural) => registry.preferred(group, plural) !== undefined,
  }
}
