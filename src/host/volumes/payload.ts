// Which files a configMap, secret or downwardAPI source makes (pure). Messages as the kubelet words them (1.32).

import { VolumeNotReady } from './volumes.ts'

export interface KeyToPath {
  key: string
  path: string
  mode?: number
}

export interface KeyedSource {
  items?: KeyToPath[]
  optional?: boolean
}

export interface SourceFile {
  path: string
  data: Buffer
  mode?: number
}

/** All keys as files, or only the listed ones under their paths. */
export function filesOf(kind: 'configmap' | 'secret', data: Map<string, Buffer>, source: KeyedSource): SourceFile[] {
  if (!source.items?.length) return [...data].map(([key, content]) => ({ path: key, data: content }))
  return source.items.flatMap(({ key, path, mode }) => {
    const content = data.get(key)
    if (content) return [{ path, data: content, ...(mode !== undefined && { mode }) }]
    if (source.optional) return []
    throw new VolumeNotReady(
      kind === 'secret'
        ? `references non-existent secret key: ${key}`
        : `configmap references non-existent config key: ${key}`,
    )
  })
}

/** The content of a ConfigMap or Secret by key. */
export function dataOf(kind: 'configmap' | 'secret', object: Record<string, any>): Map<string, Buffer> {
  const plain = kind === 'configmap' ? Object.entries(object.data ?? {}) : []
  const coded = Object.entries((kind === 'secret' ? object.data : object.binaryData) ?? {})
  return new Map([
    ...plain.map(([key, text]) => [key, Buffer.from(String(text))] as const),
    ...coded.map(([key, text]) => [key, Buffer.from(String(text), 'base64')] as const),
  ])
}

export interface Ownership {
  /** securityContext.fsGroup */
  group?: number
  /** The user that every container of the Pod runs as, if it is one. */
  user?: number
}

interface ContainerUser {
  securityContext?: { runAsUser?: number }
}

/** Mirrored from pkg/volume/util (FsUserFrom): only one user for all containers counts. */
export function ownershipOf(spec: Record<string, any>): Ownership {
  const group = spec.securityContext?.fsGroup as number | undefined
  const containers = [
    ...(spec.initContainers ?? []),
    ...(spec.containers ?? []),
    ...(spec.ephemeralContainers ?? []),
  ] as ContainerUser[]
  const users = new Set(containers.map((each) => each.securityContext?.runAsUser ?? spec.securityContext?.runAsUser))
  const user = users.size === 1 ? [...users][0] : undefined
  return { ...(group !== undefined && { group }), ...(user !== undefined && { user }) }
}

const groupRead = 0o440

/** Mode of a file in a read-only volume: the group of the Pod may always read it. */
export const modeFor = (mode: number, { group }: Ownership): number => (group === undefined ? mode : mode | groupRead)

/** A token is for its user alone, unless nobody knows who that is. */
export function tokenMode(defaultMode: number, { group, user }: Ownership): number {
  if (group !== undefined) return 0o640
  return user === undefined ? defaultMode : 0o600
}
