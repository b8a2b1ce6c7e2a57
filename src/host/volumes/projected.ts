// The files of configMap, secret, downwardAPI and projected volumes, gathered from the API.

import { isApiError } from '../../api/errors.ts'
import type { StoredObject } from '../../api/meta.ts'
import type { Client } from '../../client/client.ts'
import { fieldValue, type NodeFacts, resourceValue } from '../pods/field-values.ts'
import { type AnyContainer, ContainerProblem, type PodObject } from '../pods/pod.ts'
import type { Payload } from './atomic-writer.ts'
import {
  dataOf,
  filesOf,
  type KeyedSource,
  modeFor,
  type Ownership,
  ownershipOf,
  type SourceFile,
  tokenMode,
} from './payload.ts'
import type { TokenSource, Tokens } from './tokens.ts'
import { VolumeNotReady } from './volumes.ts'

const standardMode = 0o644

interface DownwardItem {
  path: string
  mode?: number
  fieldRef?: { fieldPath: string }
  resourceFieldRef?: { containerName?: string; resource: string; divisor?: string }
}

interface ProjectedSource {
  secret?: KeyedSource & { name: string }
  configMap?: KeyedSource & { name: string }
  downwardAPI?: { items?: DownwardItem[] }
  serviceAccountToken?: TokenSource & { path: string }
  [other: string]: unknown
}

export interface Gatherer {
  /** The files of the volume, or undefined when its source is none of these four. */
  gather(pod: StoredObject, volume: Record<string, any>): Promise<Payload | undefined>
}

export interface GathererOptions {
  client: Client
  tokens: Tokens
  node: () => NodeFacts
}

/** Sources whose content is made from API objects: kept in memory where it may be secret, and refreshed. */
export const isGathered = (volume: Record<string, any>): boolean =>
  Boolean(volume.configMap || volume.secret || volume.projected || volume.downwardAPI)

export function createGatherer({ client, tokens, node }: GathererOptions): Gatherer {
  async function keyed(pod: StoredObject, kind: 'configmap' | 'secret', name: string, source: KeyedSource) {
    const ref = { group: '', version: 'v1', resource: `${kind}s` }
    try {
      const object = await client.get(ref, name, pod.metadata.namespace)
      return filesOf(kind, dataOf(kind, object), source)
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error
      if (source.optional) return []
      throw new VolumeNotReady(`${kind} "${name}" not found`)
    }
  }

  function downward(pod: StoredObject, items: DownwardItem[]): SourceFile[] {
    return items.map(({ path, mode, fieldRef, resourceFieldRef }) => ({
      path,
      data: Buffer.from(downwardText(pod as PodObject, fieldRef, resourceFieldRef)),
      ...(mode !== undefined && { mode }),
    }))
  }

  function downwardText(
    pod: PodObject,
    field: DownwardItem['fieldRef'],
    resource: DownwardItem['resourceFieldRef'],
  ): string {
    try {
      if (field) return fieldValue(pod, field.fieldPath, { node: node(), podIPs: [] })
      const container = pod.spec.containers[0] as AnyContainer
      return resource ? resourceValue(pod, container, resource, node()) : ''
    } catch (error) {
      // The words of a container's environment, said of a volume.
      throw error instanceof ContainerProblem ? new VolumeNotReady(error.message) : error
    }
  }

  async function token(pod: StoredObject, source: TokenSource & { path: string }, mode: number, owner: Ownership) {
    const text = await tokens.token(pod, source).catch((error: unknown) => {
      throw new VolumeNotReady(`failed to fetch token: ${(error as Error).message}`)
    })
    return { path: source.path, data: Buffer.from(text), mode: tokenMode(mode, owner), ownedByUser: true }
  }

  async function sources(pod: StoredObject, list: ProjectedSource[], mode: number, owner: Ownership) {
    const files: (SourceFile & { ownedByUser?: boolean })[] = []
    for (const source of list) {
      const { secret, configMap, downwardAPI, serviceAccountToken, ...others } = source
      if (secret) files.push(...(await keyed(pod, 'secret', secret.name, secret)))
      else if (configMap) files.push(...(await keyed(pod, 'configmap', configMap.name, configMap)))
      else if (downwardAPI) files.push(...downward(pod, downwardAPI.items ?? []))
      else if (serviceAccountToken) files.push(await token(pod, serviceAccountToken, mode, owner))
      else
        throw new Error(
          `projected source ${Object.keys(others).join(', ') || '(empty)'} is not supported: use secret, configMap, downwardAPI or serviceAccountToken`,
        )
    }
    return files
  }

  async function files(pod: StoredObject, volume: Record<string, any>, mode: number, owner: Ownership) {
    const { configMap, secret, downwardAPI, projected } = volume
    if (configMap) return keyed(pod, 'configmap', configMap.name, configMap)
    if (secret) return keyed(pod, 'secret', secret.secretName, secret)
    if (downwardAPI) return downward(pod, downwardAPI.items ?? [])
    return projected ? sources(pod, projected.sources ?? [], mode, owner) : undefined
  }

  async function gather(pod: StoredObject, volume: Record<string, any>): Promise<Payload | undefined> {
    const { configMap, secret, downwardAPI, projected } = volume
    const mode: number = (configMap ?? secret ?? downwardAPI ?? projected)?.defaultMode ?? standardMode
    const owner = ownershipOf(pod.spec ?? {})
    const list: (SourceFile & { ownedByUser?: boolean })[] | undefined = await files(pod, volume, mode, owner)
    return list && new Map(list.map((file) => [file.path, contentOf(file, mode, owner)]))
  }
  return { gather }
}

function contentOf(file: SourceFile & { ownedByUser?: boolean }, defaultMode: number, owner: Ownership) {
  const { group, user } = owner
  return {
    data: file.data,
    mode: file.ownedByUser ? file.mode! : modeFor(file.mode ?? defaultMode, owner),
    ...(file.ownedByUser && user !== undefined && group === undefined && { uid: user }),
    ...(group !== undefined && { gid: group }),
  }
}
