// What snapshots of volumes hold on this machine: volume-snapshots/<handle>/data is the volume as it was. A handle outlives
// the object that it was made for where its policy says so, and is found again by whoever names it.

import { join } from 'node:path'
import { createSnapshotFiles, type SnapshotFiles } from '../machines/snapshot-files.ts'

export interface TakenVolume {
  /** In ms since 1970. */
  takenAt: number
  /** Bytes that a volume must have for it. */
  size: number
}

export interface SnapshotStore extends SnapshotFiles<TakenVolume> {
  /** The directory that holds the volume's files; undefined when there is no such snapshot. */
  data(handle: string): string | undefined
}

/** Handles come from objects that people write: never another path. */
export const isHandle = (text: unknown): text is string =>
  typeof text === 'string' && /^snapshot-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)

export const dataBelow = (directory: string): string => join(directory, 'data')

export function createSnapshotStore(root: string): SnapshotStore {
  const files = createSnapshotFiles<TakenVolume>(root)
  const find = (handle: string) => (isHandle(handle) ? files.find(handle) : undefined)
  return {
    ...files,
    find,
    data: (handle) => (find(handle) ? dataBelow(files.directory(handle)) : undefined),
  }
}
