// Puts the data of a snapshot into a new volume: beside it first, then each file in its place at once. Begun anew as often as
// needed.

import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { StoredObject } from '../../api/meta.ts'
import { run } from '../exec.ts'
import { publish } from '../imports/publish.ts'
import type { StatePaths } from '../state.ts'
import { copyTree, likeRoot } from '../volumes/copy-tree.ts'
import { localPath } from './content-plan.ts'
import type { SnapshotStore } from './snapshot-store.ts'

const syncMs = 600_000

export interface FillTools {
  store: Pick<SnapshotStore, 'data'>
  paths: Pick<StatePaths, 'imports' | 'volumes'>
}

/** @throws Error in words for the person who asked for the volume */
export async function fillVolume(
  { store, paths }: FillTools,
  volume: StoredObject,
  handle: string,
  signal: AbortSignal,
): Promise<void> {
  const path = localPath(volume, paths.volumes)
  if (!path) throw new Error('it is not one of the local volumes')
  const data = dataOf(store, handle)
  if (volume.spec.volumeMode === 'Block' && !existsSync(join(data, 'disk.img')))
    throw new Error('the snapshot is of a directory without a disk.img, and a Block volume is a disk')
  const work = join(paths.imports, volume.metadata.uid)
  const made = join(work, 'out')
  try {
    await rm(work, { recursive: true, force: true })
    await mkdir(made, { recursive: true, mode: 0o700 })
    await copyTree(data, made, { signal })
    // A snapshot that went meanwhile may have gone under the copy.
    dataOf(store, handle)
    await publish(made, path)
    await likeRoot(made, path)
    await run(['sync', '--file-system', path], { timeoutMs: syncMs, signal })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

function dataOf(store: Pick<SnapshotStore, 'data'>, handle: string): string {
  const data = store.data(handle)
  if (data === undefined)
    throw new Error(
      `the data of snapshot ${handle} is not on this machine: delete the claim, or restore another snapshot`,
    )
  return data
}
