// Puts data into a new volume: beside it first, then each file in its place at once. Begun anew as often as needed.

import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { StoredObject } from '../../api/meta.ts'
import { run } from '../exec.ts'
import { publish } from '../imports/publish.ts'
import type { StatePaths } from '../state.ts'
import { likeRoot } from '../volumes/copy-tree.ts'
import { localPath } from './content-plan.ts'

const syncMs = 600_000

/** `bring` fills the empty directory that it is given. @throws Error in words for the person who asked for the volume */
export async function fillVolume<T>(
  paths: Pick<StatePaths, 'imports' | 'volumes'>,
  volume: StoredObject,
  bring: (into: string) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const path = localPath(volume, paths.volumes)
  if (!path) throw new Error('it is not one of the local volumes')
  const work = join(paths.imports, volume.metadata.uid)
  const made = join(work, 'out')
  try {
    await rm(work, { recursive: true, force: true })
    await mkdir(made, { recursive: true, mode: 0o700 })
    const brought = await bring(made)
    signal.throwIfAborted()
    await publish(made, path)
    await likeRoot(made, path)
    await run(['sync', '--file-system', path], { timeoutMs: syncMs, signal })
    return brought
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}
