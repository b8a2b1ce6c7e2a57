// Which groups, versions and resources there are: the aggregated form that kubectl asks for (two requests for everything)
// and the older documents per group (apidiscovery.k8s.io/v2; meta/v1 APIGroupList, APIResourceList).

import { createHash } from 'node:crypto'
import type { ApiRequest, ApiResponse } from '../../api/exchange.ts'
import { groupVersion } from '../../api/meta.ts'
import type { RemoteDocument } from '../aggregation/aggregation.ts'
import { prioritiesOf } from '../aggregation/priorities.ts'
import { noSuchPath } from '../call.ts'
import type { Registry, Resource } from '../registry.ts'
import { aggregatedGroup, aggregatedVersions, kubevirtSubresources, subresourceTable } from '../subresources/table.ts'

interface Entry {
  name: string
  singular: string
  namespaced: boolean
  kind: { group: string; version: string; kind: string }
  verbs: string[]
  shortNames?: string[]
  categories?: string[]
  storageHash?: string
}

export interface Discovery {
  /** /api, /apis and below; undefined when the path is none of discovery's. */
  answer(request: ApiRequest): ApiResponse | undefined
}

/** What is served: by this server, and by others behind it. */
interface Served {
  registry: Registry
  remote: RemoteDiscovery
}

export interface RemoteDiscovery {
  documents(): readonly RemoteDocument[]
  /** Grows when `documents` changed. */
  generation(): number
}

const nothingRemote: RemoteDiscovery = { documents: () => [], generation: () => 0 }

export function createDiscovery(
  registry: Registry,
  address: () => string,
  remote: RemoteDiscovery = nothingRemote,
): Discovery {
  const served: Served = { registry, remote }
  const documents = new Map<string, { object: object; json: string; etag: string }>()
  let generation = ''

  function document(key: string, make: () => object): { object: object; json: string; etag: string } {
    const current = `${registry.generation()} ${remote.generation()}`
    if (generation !== current) {
      documents.clear()
      generation = current
    }
    let known = documents.get(key)
    if (!known) {
      const object = make()
      const json = JSON.stringify(object)
      known = { object, json, etag: `"${createHash('sha256').update(json).digest('hex').toUpperCase()}"` }
      documents.set(key, known)
    }
    return known
  }

  function aggregated(request: ApiRequest, version: string, core: boolean): ApiResponse {
    const { object, json, etag } = document(`${version}${core}`, () => aggregatedList(served, version, core))
    const headers = {
      'content-type': `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
      etag,
      vary: 'Accept',
      'cache-control': 'public',
    }
    if (request.headers['if-none-match'] === etag) return { status: 304, headers, text: '' }
    return { status: 200, headers, object, json }
  }

  return {
    answer(request) {
      const parts = request.path.split('/').filter((part) => part !== '')
      if (parts[0] !== 'api' && parts[0] !== 'apis') return undefined
      if (request.method !== 'GET' && request.method !== 'HEAD') return undefined
      const version = aggregatedVersion(request.headers.accept)
      if (parts.length === 1 && version) return aggregated(request, version, parts[0] === 'api')
      if (parts[0] === 'api') {
        if (parts.length === 1) return plain(document('api', () => apiVersions(address())))
        if (parts.length === 2 && parts[1] === 'v1')
          return plain(document('api/v1', () => resourceList(served, '', 'v1')))
        return undefined
      }
      if (parts.length === 1) return plain(document('apis', () => groupList(served)))
      const [, group = '', groupsVersion] = parts
      const versions = versionsOf(served, group)
      if (versions.length === 0 || group === '') throw noSuchPath()
      if (parts.length === 2) return plain(document(group, () => apiGroup(served, group)))
      if (parts.length > 3) return undefined
      if (!versions.includes(groupsVersion!)) throw noSuchPath()
      return plain(document(`${group}/${groupsVersion}`, () => resourceList(served, group, groupsVersion!)))
    },
  }
}

const plain = ({ object, json }: { object: object; json: string }): ApiResponse => ({ status: 200, object, json })

/** The newest form of the aggregated list that the client takes, or undefined. */
function aggregatedVersion(accept: string | undefined): string | undefined {
  for (const part of (accept ?? '').split(',')) {
    if (!part.includes('as=APIGroupDiscoveryList') || !part.includes('g=apidiscovery.k8s.io')) continue
    const version = /v=(v2beta1|v2)(;|$)/.exec(part.trim())?.[1]
    if (version) return version
  }
  return undefined
}

const apiVersions = (address: string) => ({
  kind: 'APIVersions',
  versions: ['v1'],
  serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
})

function versionsOf({ registry, remote }: Served, group: string): string[] {
  const own = registry.groups().get(group) ?? []
  const others = remote.documents().flatMap((one) => (one.remote.group === group ? [one.remote.version] : []))
  return [...new Set([...(group === aggregatedGroup ? aggregatedVersions : own), ...others])]
}

function groupNames({ registry, remote }: Served): string[] {
  const names = [...registry.groups().keys()].filter((group) => group !== '')
  if (names.includes('kubevirt.io')) names.push(aggregatedGroup)
  const all = [...new Set([...names, ...remote.documents().map((one) => one.remote.group)])]
  return all.sort((a, b) => rank(b) - rank(a) || (a < b ? -1 : 1))
}

/** `kubectl get all` shows kinds in the order of their groups. */
const rank = (group: string): number => prioritiesOf(group, 'v1').groupPriorityMinimum

function apiGroup(served: Served, name: string) {
  const versions = versionsOf(served, name).map((version) => ({ groupVersion: groupVersion(name, version), version }))
  // virt-api names this one group in the singular, and virtctl expects it.
  const shown = name === aggregatedGroup ? 'subresource.kubevirt.io' : name
  return { kind: 'APIGroup', apiVersion: 'v1', name: shown, versions, preferredVersion: versions[0] }
}

const groupList = (served: Served) => ({
  kind: 'APIGroupList',
  apiVersion: 'v1',
  groups: groupNames(served).map((name) => {
    const { kind: _, apiVersion: __, ...group } = apiGroup(served, name)
    return { ...group, name }
  }),
})

function resourceList(served: Served, group: string, version: string) {
  const resources = entriesOf(served, group, version).flatMap(({ entry, subresources }) => [
    legacyEntry(entry, entry.name, group, version),
    ...subresources.map((sub) => legacyEntry({ ...sub, singular: '' }, `${entry.name}/${sub.name}`, group, version)),
  ])
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: groupVersion(group, version), resources }
}

/** Changes when the stored version does: by it migrations see what to write again (StorageVersionHash, 1.36). */
function storageHash(registry: Registry, { group, plural, version, kind, form }: Resource): string {
  const preferred = registry.preferred(group, plural)?.version ?? version
  const stored = kind.storedAs ?? { group, version: form?.version ?? preferred }
  const text = `${stored.group}/${stored.version}/${kind.kind}`
  return createHash('sha256').update(text).digest().toString('base64', 0, 8)
}

function legacyEntry(entry: Entry, name: string, group: string, version: string) {
  const foreign = entry.kind.group !== group || entry.kind.version !== version
  return {
    name,
    singularName: entry.singular,
    namespaced: entry.namespaced,
    ...(foreign && { group: entry.kind.group, version: entry.kind.version }),
    kind: entry.kind.kind,
    verbs: entry.verbs,
    ...(entry.shortNames?.length && { shortNames: entry.shortNames }),
    ...(entry.categories?.length && { categories: entry.categories }),
    ...(entry.storageHash && { storageVersionHash: entry.storageHash }),
  }
}

function aggregatedList(served: Served, version: string, core: boolean) {
  const names = core ? [''] : groupNames(served)
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: names.map((name) => ({
      metadata: { ...(name && { name }), creationTimestamp: null },
      versions: versionsOf(served, name).map((groupsVersion) => ({
        version: groupsVersion,
        resources: entriesOf(served, name, groupsVersion).map(aggregatedEntry),
        freshness: 'Current',
      })),
    })),
  }
}

function aggregatedEntry({ entry, subresources }: { entry: Entry; subresources: Entry[] }) {
  return {
    resource: entry.name,
    responseKind: entry.kind,
    scope: entry.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: entry.singular,
    verbs: entry.verbs,
    ...(entry.shortNames?.length && { shortNames: entry.shortNames }),
    ...(entry.categories?.length && { categories: entry.categories }),
    ...(subresources.length > 0 && {
      subresources: subresources.map((sub) => ({ subresource: sub.name, responseKind: sub.kind, verbs: sub.verbs })),
    }),
  }
}

function entriesOf(served: Served, group: string, version: string): { entry: Entry; subresources: Entry[] }[] {
  if (group === aggregatedGroup) return aggregatedEntries(version)
  const { registry, remote } = served
  const other = remote.documents().find((one) => one.remote.group === group && one.remote.version === version)
  if (other) return remoteEntries(other)
  return registry
    .all()
    .filter((resource) => resource.group === group && resource.version === version)
    .sort((a, b) => (a.plural < b.plural ? -1 : 1))
    .map((resource) => ({
      entry: { ...entryOf(resource), ...(!resource.kind.virtual && { storageHash: storageHash(registry, resource) }) },
      subresources: subresourcesOf(resource),
    }))
}

function entryOf(resource: Resource): Entry {
  const { kind } = resource
  return {
    name: kind.plural,
    singular: kind.singular,
    namespaced: resource.namespaced,
    kind: { group: kind.group, version: kind.version, kind: kind.kind },
    verbs: [...resource.verbs].sort(),
    ...(kind.shortNames && { shortNames: kind.shortNames }),
    ...(kind.categories && { categories: kind.categories }),
  }
}

function subresourcesOf(resource: Resource): Entry[] {
  const own = entryOf(resource).kind
  const part = (name: string, kind: Entry['kind'], verbs: string[]): Entry => ({
    name,
    singular: '',
    namespaced: resource.namespaced,
    kind,
    verbs,
  })
  const result = (subresourceTable[resource.groupResource] ?? []).map((info) =>
    part(info.subresource, info.kind, info.verbs),
  )
  const readWrite = ['get', 'patch', 'update']
  if (resource.scale) result.push(part('scale', { group: 'autoscaling', version: 'v1', kind: 'Scale' }, readWrite))
  if (resource.hasStatus) result.push(part('status', own, readWrite))
  return result
}

function aggregatedEntries(version: string): { entry: Entry; subresources: Entry[] }[] {
  return [...kubevirtSubresources].map(([name, verb]) => {
    const kind = name.startsWith('virtualmachineinstances/') ? 'VirtualMachineInstance' : 'VirtualMachine'
    return {
      entry: { name, singular: '', namespaced: true, kind: { group: aggregatedGroup, version, kind }, verbs: [verb] },
      subresources: [],
    }
  })
}

/** The older form of the document, which every server has, taken apart. */
function remoteEntries({ remote, document }: RemoteDocument): { entry: Entry; subresources: Entry[] }[] {
  const resources: Record<string, any>[] = document.resources ?? []
  const entry = (resource: Record<string, any>, name: string): Entry => ({
    name,
    singular: resource.singularName ?? '',
    namespaced: resource.namespaced === true,
    kind: {
      group: resource.group ?? remote.group,
      version: resource.version ?? remote.version,
      kind: String(resource.kind),
    },
    verbs: resource.verbs ?? [],
    ...(resource.shortNames && { shortNames: resource.shortNames }),
    ...(resource.categories && { categories: resource.categories }),
  })
  return resources
    .filter(({ name }) => !name.includes('/'))
    .map((resource) => ({
      entry: entry(resource, resource.name),
      subresources: resources
        .filter(({ name }) => name.startsWith(`${resource.name}/`))
        .map((part) => entry(part, part.name.slice(resource.name.length + 1))),
    }))
}
