// Where the data of a new volume comes from: a snapshot that is kept here, or the volume of another claim, as it is now.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { StoredObject } from '../../api/meta.ts'
import { filledFromAnnotation } from '../../kinds/snapshot/memory.ts'
import { copiedVolume } from '../../kinds/storage/volume-sources.ts'
import type { StatePaths } from '../state.ts'
import { copyTree } from '../volumes/copy-tree.ts'
import { volumePlace } from './content-plan.ts'
import type { SnapshotStore } from './snapshot-store.ts'
import { type TakeTools, takeVolume } from './take-volume.ts'

export interface SourceTools {
  take: TakeTools
  store: Pick<SnapshotStore, 'data'>
  paths: Pick<StatePaths, 'volumes'>
  /** PersistentVolumes by name, and claims by 'namespace/name'. */
  volume(name: string): StoredObject | undefined
  claim(key: string): StoredObject | undefined
}

/** The claim that was copied, and who may have written to it meanwhile. */
export interface Brought {
  claim?: string
  writers: string[]
}

/** Fills `into`, an empty directory, with what is to be in the volume. @throws Error, VolumeNotReady */
export async function bringData(
  tools: SourceTools,
  volume: StoredObject,
  into: string,
  signal: AbortSignal,
): Promise<Brought> {
  const copied = copiedVolume(volume)
  if (copied === undefined) {
    await bringSnapshot(tools.store, volume, into, signal)
    return { writers: [] }
  }
  const { claim } = volumePlace(copied, tools.volume(copied), tools.claim, tools.paths.volumes)
  const { writers } = await takeVolume(tools.take, claim, into, signal)
  return { claim: claim.name, writers }
}

async function bringSnapshot(
  store: Pick<SnapshotStore, 'data'>,
  volume: StoredObject,
  into: string,
  signal: AbortSignal,
): Promise<void> {
  const handle = volume.metadata.annotations![filledFromAnnotation]!
  const data = dataOf(store, handle)
  if (volume.spec.volumeMode === 'Block' && !existsSync(join(data, 'disk.img')))
    throw new Error('the snapshot is of a directory without a disk.img, and a Block volume is a disk')
  await copyTree(data, into, { signal })
  // A snapshot that went meanwhile may have gone under the copy.
  dataOf(store, handle)
}

function dataOf(store: Pick<SnapshotStore, 'data'>, handle: string): string {
  const data = store.data(handle)
  if (data === undefined)
    throw new Error(
      `the data of snapshot ${handle} is not on this machine: delete the claim, or restore another snapshot`,
    )
  return data
}
