// Snapshots of volumes: which class and volume they are of, their contents, and the status that is told. Pure; names, texts
// and steps of external-snapshotter 8.6 (pkg/common-controller/snapshot_controller.go), with what to do beside them.

import type { ApiObject, StoredObject } from '../api/meta.ts'
import { formatQuantity, quantityOf } from '../api/quantity.ts'
import { formatTime } from '../api/time.ts'
import { localProvisioner, provisionedBy } from '../kinds/storage/local-provisioner.ts'
import { contentFinalizer, defaultSnapshotClass } from '../kinds/volumesnapshot/names.ts'
import { refersTo } from '../kinds/volumesnapshot/references.ts'
import { isBoundTo } from './volume-matching.ts'

export interface Problem {
  reason: string
  message: string
  /** What was ready before stays so. */
  harmless?: boolean
}

export interface SnapshotEvent {
  reason: string
  message: string
}

const keyOf = ({ metadata }: StoredObject): string => `${metadata.namespace}/${metadata.name}`

export const isReady = ({ status }: StoredObject): boolean => status?.readyToUse === true

/** The name of the content that is made for a snapshot of a claim. */
export const contentNameOf = ({ metadata }: StoredObject): string => `snapcontent-${metadata.uid}`

/** The name of the content that belongs, or is to belong, to a snapshot. */
export const contentOfSnapshot = (snapshot: StoredObject): string =>
  snapshot.spec.source.volumeSnapshotContentName ?? contentNameOf(snapshot)

/** Takes of this claim that have not come to their end: it must not go before. */
export const usersOfClaim = (claim: string, snapshots: StoredObject[]): StoredObject[] =>
  snapshots.filter(
    (snapshot) =>
      snapshot.spec.source.persistentVolumeClaimName === claim &&
      !isReady(snapshot) &&
      !snapshot.metadata.deletionTimestamp,
  )

/** The class for a snapshot that names none: the default one of the driver. */
export function defaultClassFor(classes: StoredObject[], driver: string): StoredObject | Problem {
  const marked = classes.filter(
    (one) => one.driver === driver && one.metadata.annotations?.[defaultSnapshotClass] === 'true',
  )
  if (marked.length === 1) return marked[0]!
  const found =
    marked.length === 0 ? 'cannot find default snapshot class' : `${marked.length} default snapshot classes were found`
  return {
    reason: 'SetDefaultSnapshotClassFailed',
    message: `Failed to set default snapshot class with error ${found}: name one in spec.volumeSnapshotClassName, or mark one VolumeSnapshotClass of driver ${driver} with ${defaultSnapshotClass}`,
    harmless: true,
  }
}

/** The volume of a claim, when a snapshot of it can be taken; or why not, in words that follow "with error". */
export function volumeToSnapshot(
  name: string,
  claim: StoredObject | undefined,
  volume: (name: string) => StoredObject | undefined,
): StoredObject | string {
  if (!claim) return `failed to retrieve PVC ${name} from the lister: persistentvolumeclaim "${name}" not found`
  if (claim.status?.phase !== 'Bound' || !claim.spec.volumeName)
    return `the PVC ${name} is not yet bound to a PV, will not attempt to take a snapshot`
  const found = volume(claim.spec.volumeName)
  if (!found)
    return `failed to retrieve PV ${claim.spec.volumeName} from the API server: persistentvolume "${claim.spec.volumeName}" not found`
  if (!isBoundTo(found, claim)) return 'claim in dataSource not bound or invalid'
  return found.metadata.annotations?.[provisionedBy] === localProvisioner
    ? found
    : `snapshots are taken of volumes of the provisioner ${localProvisioner} only, and volume ${found.metadata.name} is none: copy the claim with a DataVolume into a StorageClass of it`
}

export const isProblem = (found: StoredObject | Problem): found is Problem => 'reason' in found && 'message' in found

export const creationFailed = (why: string): Problem => ({
  reason: 'SnapshotContentCreationFailed',
  message: `Failed to create snapshot content with error ${why}`,
})

/** Why no snapshot of the volume can be taken by the class. */
export const classRefusal = (snapshotClass: StoredObject, volume: StoredObject): string | undefined =>
  snapshotClass.driver === localProvisioner
    ? undefined
    : `VolumeSnapshotClass ${snapshotClass.metadata.name} is of driver ${snapshotClass.driver}, and volume ${volume.metadata.name} of ${localProvisioner}: name a class of that driver`

export function contentFor(snapshot: StoredObject, snapshotClass: StoredObject, volume: StoredObject): ApiObject {
  const { name, namespace, uid, resourceVersion } = snapshot.metadata
  const { apiVersion, kind } = snapshot
  return {
    apiVersion,
    kind: 'VolumeSnapshotContent',
    metadata: { name: contentNameOf(snapshot), finalizers: [contentFinalizer] },
    spec: {
      volumeSnapshotRef: { apiVersion, kind, namespace, name, uid, resourceVersion },
      // A local volume has no name but its own.
      source: { volumeHandle: volume.metadata.name },
      driver: snapshotClass.driver,
      deletionPolicy: snapshotClass.deletionPolicy,
      volumeSnapshotClassName: snapshotClass.metadata.name,
      sourceVolumeMode: volume.spec.volumeMode ?? 'Filesystem',
    },
  }
}

/** Whether a content that is there may be the snapshot's. */
export function contentProblem(snapshot: StoredObject, content: StoredObject): Problem | undefined {
  const { name } = content.metadata
  const { volumeSnapshotRef: reference, source } = content.spec
  const isPreProvisioned = snapshot.spec.source.volumeSnapshotContentName !== undefined
  if (isPreProvisioned && source.snapshotHandle === undefined)
    return {
      reason: 'SnapshotContentMismatch',
      message: 'VolumeSnapshotContent is dynamically provisioned while expecting a pre-provisioned one',
    }
  if (!isPreProvisioned && source.volumeHandle === undefined)
    return {
      reason: 'SnapshotContentMismatch',
      message: `VolumeSnapshotContent ${name} is pre-provisioned while expecting a dynamically provisioned one`,
    }
  const { metadata } = snapshot
  const isMeant = reference.name === metadata.name && reference.namespace === metadata.namespace
  return isMeant && (!reference.uid || refersTo(content, snapshot))
    ? undefined
    : { reason: 'SnapshotContentMisbound', message: `VolumeSnapshotContent [${name}] is bound to a different snapshot` }
}

export const contentMissing = (snapshot: StoredObject): Problem => ({
  reason: 'SnapshotContentMissing',
  message: `VolumeSnapshotContent is missing: ${contentOfSnapshot(snapshot)} is not there, make it or delete this snapshot`,
})

const nanosecondsPerMs = 1_000_000

/** What the content says of itself, in the snapshot's own status, and what is told when that is new. */
export function snapshotStatus(
  snapshot: StoredObject,
  content: StoredObject,
): { status: Record<string, unknown>; events: SnapshotEvent[] } {
  const before = snapshot.status ?? {}
  const { creationTime, restoreSize, readyToUse = false, error } = content.status ?? {}
  const status = {
    ...before,
    boundVolumeSnapshotContentName: content.metadata.name,
    readyToUse,
    ...(creationTime !== undefined && { creationTime: formatTime(creationTime / nanosecondsPerMs) }),
    ...(restoreSize !== undefined && { restoreSize: formatQuantity(quantityOf(restoreSize, 'BinarySI')) }),
  }
  if (error) status.error = error
  else delete status.error
  const events: SnapshotEvent[] = []
  if (!before.creationTime && status.creationTime)
    events.push({
      reason: 'SnapshotCreated',
      message: `Snapshot ${keyOf(snapshot)} was successfully created by the CSI driver.`,
    })
  if (!before.readyToUse && readyToUse)
    events.push({ reason: 'SnapshotReady', message: `Snapshot ${keyOf(snapshot)} is ready to use.` })
  return { status, events }
}

export function failedStatus(snapshot: StoredObject, { message, harmless }: Problem, now: number) {
  return {
    ...snapshot.status,
    ...(!harmless && { readyToUse: false }),
    error: { time: formatTime(now), message },
  }
}
