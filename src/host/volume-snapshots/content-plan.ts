// What a VolumeSnapshotContent asks this machine for, and what is told of it. Pure; pkg/sidecar-controller of
// external-snapshotter 8.6.

import type { StoredObject } from '../../api/meta.ts'
import { parseQuantity, quantityValue } from '../../api/quantity.ts'
import { localProvisioner, provisionedBy } from '../../kinds/storage/local-provisioner.ts'
import { beingDeleted } from '../../kinds/volumesnapshot/names.ts'
import { isHandle, type TakenVolume } from './snapshot-store.ts'

export const isOurs = ({ spec }: StoredObject): boolean => spec.driver === localProvisioner

/** The name of the data, which is or is to be here; undefined when it can be none of this machine's. */
export function handleOf({ spec }: StoredObject): string | undefined {
  const { snapshotHandle } = spec.source ?? {}
  const handle = snapshotHandle ?? `snapshot-${spec.volumeSnapshotRef?.uid}`
  return isHandle(handle) ? handle : undefined
}

/** Why a content whose data is not here gets none; undefined for one whose snapshot is to be taken. */
export function contentProblem(content: StoredObject): string | undefined {
  const { snapshotHandle, volumeHandle } = content.spec.source ?? {}
  const known: string | undefined = snapshotHandle ?? content.status?.snapshotHandle
  if (known !== undefined)
    return `Failed to check and update snapshot content: snapshot ${known} is not on this machine. What is here is named by status.snapshotHandle of other contents, and by the directories in volume-snapshots of the state directory`
  return volumeHandle === undefined || handleOf(content) === undefined
    ? 'Failed to check and update snapshot content: spec.volumeSnapshotRef.uid names no snapshot. Make a VolumeSnapshot, and this content is made for it'
    : undefined
}

const nanosecondsPerMs = 1_000_000

export const statusOf = (handle: string, { takenAt, size }: TakenVolume): Record<string, unknown> => ({
  snapshotHandle: handle,
  creationTime: takenAt * nanosecondsPerMs,
  restoreSize: size,
  readyToUse: true,
})

/** A content that is deleted waits for its snapshot, unless it never had one. */
export const mayGo = ({ metadata, spec }: StoredObject): boolean =>
  metadata.annotations?.[beingDeleted] !== undefined || !spec.volumeSnapshotRef?.uid

/** Another content stands for the same data. */
export const isWanted = (handle: string, content: StoredObject, contents: StoredObject[]): boolean =>
  contents.some(
    (other) =>
      other.metadata.uid !== content.metadata.uid &&
      !other.metadata.deletionTimestamp &&
      isOurs(other) &&
      handleOf(other) === handle,
  )

export const sizeOf = ({ spec }: StoredObject): number =>
  Number(quantityValue(parseQuantity(String(spec.capacity?.storage ?? '0'))))

/** The path of a volume that Tandem made: a direct child of its directory, whatever the object says. */
export function localPath(volume: StoredObject, volumesDir: string): string | undefined {
  const path: unknown = volume.spec.local?.path
  if (volume.metadata.annotations?.[provisionedBy] !== localProvisioner || typeof path !== 'string') return undefined
  const name = path.startsWith(`${volumesDir}/`) ? path.slice(volumesDir.length + 1) : ''
  return name && !name.includes('/') && name !== '.' && name !== '..' ? path : undefined
}

/** The claim that has the local volume of that name, which is to be copied. @throws Error when there is none */
export function volumePlace(
  wanted: string,
  volume: StoredObject | undefined,
  claim: (key: string) => StoredObject | undefined,
  volumesDir: string,
): { claim: { namespace: string; name: string } } {
  if (!volume) throw new Error(`persistentvolume "${wanted}" not found`)
  if (!localPath(volume, volumesDir)) throw new Error(`volume ${wanted} is not one of ${localProvisioner}`)
  const { namespace, name, uid } = volume.spec.claimRef ?? {}
  const found = claim(`${namespace}/${name}`)
  if (found?.metadata.uid !== uid || found?.spec.volumeName !== wanted)
    throw new Error(`volume ${wanted} is not bound to a claim: only what a claim has is copied`)
  return { claim: { namespace, name } }
}
