// The resources that the server serves: every kind with what is derived from it once, found by URL or by kind.

import type { KindDefinition, ScaleSubresource } from '../api/kind.ts'
import { groupVersion } from '../api/meta.ts'
import type { StoredForm } from './custom/stored-form.ts'
import { byPreference } from './custom/version-order.ts'

export interface Resource {
  kind: KindDefinition
  group: string
  version: string
  plural: string
  /** 'pods', 'deployments.apps': how errors name it. */
  groupResource: string
  apiVersion: string
  listKind: string
  namespaced: boolean
  /** '/registry/apps/deployments/' */
  prefix: string
  /** Kinds that upstream serves from a CustomResourceDefinition behave differently in a few places. */
  custom: boolean
  hasStatus: boolean
  hasGeneration: boolean
  scale: ScaleSubresource | undefined
  verbs: ReadonlySet<string>
  /** Set for what a CustomResourceDefinition defines: objects are not stored exactly as they are shown. */
  form: StoredForm | undefined
}

const allVerbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']

/** In the order in which discovery shows the groups that clients should prefer. */
export interface Registry {
  find(group: string, version: string, plural: string): Resource | undefined
  findKind(group: string, version: string, kind: string): Resource | undefined
  /** Any served version of a resource; the first declared one is preferred. */
  preferred(group: string, plural: string): Resource | undefined
  all(): readonly Resource[]
  /** group → versions, in order of declaration; those that CustomResourceDefinitions have a part in, by maturity and age. */
  groups(): ReadonlyMap<string, string[]>
  add(kind: KindDefinition, form?: StoredForm): void
  remove(group: string, version: string, plural: string): void
  /** Grows with every change: a cache of what is derived from the whole list compares it. */
  generation(): number
}

export function resourceFor(kind: KindDefinition, form?: StoredForm): Resource {
  const { group, version, plural } = kind
  const spec = kind.schema.properties?.spec !== undefined
  return {
    kind,
    group,
    version,
    plural,
    groupResource: group ? `${plural}.${group}` : plural,
    apiVersion: groupVersion(group, version),
    listKind: kind.listKind ?? `${kind.kind}List`,
    namespaced: kind.scope === 'Namespaced',
    prefix: `/registry/${(kind.storedAs?.group ?? group) || 'core'}/${plural}/`,
    custom: kind.protobuf === false,
    hasStatus: kind.subresources?.status === true,
    hasGeneration: kind.hasGeneration ?? spec,
    scale: kind.subresources?.scale,
    verbs: new Set(kind.virtual ? ['create'] : (kind.verbs ?? allVerbs)),
    form,
  }
}

export function createRegistry(kinds: readonly KindDefinition[]): Registry {
  const byUrl = new Map<string, Resource>()
  const byKind = new Map<string, Resource>()
  let generation = 0
  let groups: Map<string, string[]> | undefined

  const registry: Registry = {
    find: (group, version, plural) => byUrl.get(`${group}/${version}/${plural}`),
    findKind: (group, version, kind) => byKind.get(`${group}/${version}/${kind}`),
    preferred(group, plural) {
      for (const version of registry.groups().get(group) ?? []) {
        const resource = registry.find(group, version, plural)
        if (resource) return resource
      }
      return undefined
    },
    all: () => [...byUrl.values()],
    groups() {
      if (groups) return groups
      groups = new Map()
      const defined = new Set<string>()
      for (const { group, version, form } of byUrl.values()) {
        const versions = groups.get(group) ?? []
        if (!versions.includes(version)) versions.push(version)
        groups.set(group, versions)
        if (form) defined.add(group)
      }
      for (const group of defined) groups.get(group)!.sort(byPreference)
      return groups
    },
    add(kind, form) {
      const resource = resourceFor(kind, form)
      byUrl.set(`${kind.group}/${kind.version}/${kind.plural}`, resource)
      byKind.set(`${kind.group}/${kind.version}/${kind.kind}`, resource)
      groups = undefined
      generation++
    },
    remove(group, version, plural) {
      const resource = registry.find(group, version, plural)
      if (!resource) return
      byUrl.delete(`${group}/${version}/${plural}`)
      byKind.delete(`${group}/${version}/${resource.kind.kind}`)
      groups = undefined
      generation++
    },
    generation: () => generation,
  }
  for (const kind of kinds) registry.add(kind)
  return registry
}
