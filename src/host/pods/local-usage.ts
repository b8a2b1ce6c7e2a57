// What a Pod takes of this machine's disk: its empty directories, what its containers wrote, and their logs.

import { join } from 'node:path'
import { bytesBelow, type LocalUsage } from '../eviction/local-storage.ts'
import type { Cri } from './cri/client.ts'
import { labels } from './names.ts'
import { allContainers, type PodObject } from './pod.ts'
import type { PodFiles } from './pod-files.ts'

export async function localUsage(cri: Cri, files: PodFiles, pod: PodObject): Promise<LocalUsage> {
  const { uid } = pod.metadata
  const volumes = new Map<string, number>()
  for (const { name, emptyDir } of pod.spec.volumes ?? [])
    if (emptyDir && emptyDir.medium !== 'Memory')
      volumes.set(name, await bytesBelow(join(files.root(uid), 'volumes', name)))
  const { stats } = await cri.listContainerStats({ filter: { labelSelector: { [labels.podUid]: uid } } })
  const containers = new Map<string, number>()
  for (const { attributes, writableLayer } of stats) {
    const name = attributes?.metadata?.name ?? ''
    containers.set(name, (containers.get(name) ?? 0) + Number(writableLayer?.usedBytes?.value ?? 0))
  }
  for (const { name } of allContainers(pod)) {
    const logs = await bytesBelow(join(files.logDirectory(pod), name))
    containers.set(name, (containers.get(name) ?? 0) + logs)
  }
  return { volumes, containers }
}
