// Local storage of Pods: what was promised, what is used, and what is too much. Texts mirrored from the kubelet
// (pkg/kubelet/eviction/eviction_manager.go localStorageEviction, 1.36).

import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { allContainers, isFinal, type PodObject, wholeUnits } from '../pods/pod.ts'

export interface LocalUsage {
  /** Bytes of each emptyDir on disk, by volume name; in memory ones have a limit of their own in the kernel. */
  volumes: Map<string, number>
  /** Writable layer and logs, by container name. */
  containers: Map<string, number>
}

/** Unit of st_blocks. */
const blockBytes = 512

const ephemeral = 'ephemeral-storage'

const emptyDirs = (pod: PodObject) => (pod.spec.volumes ?? []).filter(({ emptyDir }) => emptyDir)

export const hasStorageLimits = (pod: PodObject): boolean =>
  !isFinal(pod) &&
  !pod.metadata.deletionTimestamp &&
  (emptyDirs(pod).some(({ emptyDir }) => emptyDir?.sizeLimit) ||
    allContainers(pod).some(({ resources }) => resources?.limits?.[ephemeral] !== undefined))

/** Why the Pod has to go; undefined when it keeps to what it said. Pure. */
export function overLimit(pod: PodObject, { volumes, containers }: LocalUsage): string | undefined {
  for (const { name, emptyDir } of emptyDirs(pod)) {
    const limit = emptyDir?.sizeLimit
    if (limit && (volumes.get(name) ?? 0) > wholeUnits(limit))
      return `Usage of EmptyDir volume "${name}" exceeds the limit "${limit}". `
  }
  const limits = pod.spec.containers.map(({ resources }) => resources?.limits?.[ephemeral])
  const total = limits.reduce((sum, limit) => sum + wholeUnits(limit), 0)
  const used = [...volumes.values(), ...containers.values()].reduce((sum, bytes) => sum + bytes, 0)
  if (limits.every((limit) => limit !== undefined) && used > total)
    return `Pod ephemeral local storage usage exceeds the total limit of containers ${total}. `
  for (const { name, resources } of allContainers(pod)) {
    const limit = resources?.limits?.[ephemeral]
    if (limit !== undefined && (containers.get(name) ?? 0) > wholeUnits(limit))
      return `Container ${name} exceeded its local ephemeral storage limit "${limit}". `
  }
  return undefined
}

/** Bytes that the files below a directory take on disk; a hard link counts once for each name. */
export async function bytesBelow(directory: string): Promise<number> {
  let total = 0
  for (const entry of await readdir(directory, { withFileTypes: true }).catch(() => [])) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) total += await bytesBelow(path)
    else if (entry.isFile()) total += blockBytes * ((await stat(path).catch(() => undefined))?.blocks ?? 0)
  }
  return total
}
