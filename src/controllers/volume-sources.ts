// What the volumes of claims are filled from: snapshots and other claims. Plans it, and holds the claim that is copied until
// the copy is there, by the finalizer of external-provisioner 6.3 (pkg/controller/clone_controller.go). Part of the volume
// binder, whose queue runs one key at a time: nobody lets go of a claim between its finalizer and the volume that needs it.

import type { StoredObject } from '../api/meta.ts'
import { objectKey } from '../api/meta.ts'
import { isBeingFilled } from '../kinds/snapshot/memory.ts'
import { cloningFinalizer, copiedVolume } from '../kinds/storage/volume-sources.ts'
import type { ControllerContext } from './controller.ts'
import { persistentVolumeClaims, persistentVolumes, volumeSnapshotContents, volumeSnapshots } from './resources.ts'
import { has, holdWith } from './snapshot.ts'
import { clonedClaim, clonePlan } from './volume-clone-plan.ts'
import { restorePlan, type SourcePlan, snapshotOfClaim } from './volume-restore-plan.ts'

export interface VolumeSources {
  /** Keys ('namespace/name') of the claims that wait for a claim or a snapshot, which has changed. */
  waitingFor(source: StoredObject): string[]
  /** Keys of the claims that may be let go of when the claim, or the volume, has changed. */
  heldBy(object: StoredObject): string[]
  /** undefined when nothing is to be in the claim's volume; the claim's source is none that sourceRefusal refuses. */
  planFor(claim: StoredObject): SourcePlan | undefined
  /** Before the volume is made. False when the claim to copy has gone. */
  hold(claim: StoredObject): Promise<boolean>
  /** Takes the finalizer off the claim of that key when no copy of it is under way. */
  release(key: string): Promise<void>
}

const indexName = 'filledFrom'

export function createVolumeSources(context: ControllerContext): VolumeSources {
  const { informers } = context
  const claims = informers.informer(persistentVolumeClaims)
  const volumes = informers.informer(persistentVolumes)
  const snapshots = informers.informer(volumeSnapshots)
  const contents = informers.informer(volumeSnapshotContents)
  claims.addIndex(indexName, (claim) => {
    const [copied, restored] = [clonedClaim(claim), snapshotOfClaim(claim)]
    return [...(copied ? [`PersistentVolumeClaim/${copied}`] : []), ...(restored ? [`VolumeSnapshot/${restored}`] : [])]
  })

  /** 'namespace/name' of the claim whose volume this one is a copy of. */
  function copiedClaim(volume: StoredObject): string | undefined {
    const name = copiedVolume(volume)
    const reference = name === undefined ? undefined : volumes.get(name)?.spec.claimRef
    return reference && `${reference.namespace}/${reference.name}`
  }

  /** The claim that is to have the volume is there: a volume that only its policy keeps holds nobody. */
  function isUnderWay(volume: StoredObject): boolean {
    const { namespace, name, uid } = volume.spec.claimRef ?? {}
    const claim = claims.get(`${namespace}/${name}`)
    return isBeingFilled(volume) && !volume.metadata.deletionTimestamp && claim?.metadata.uid === uid
  }

  return {
    waitingFor: (source) =>
      claims
        .byIndex(indexName, `${source.kind}/${objectKey(source)}`)
        .filter((claim) => claim.status?.phase !== 'Bound')
        .map(objectKey),
    heldBy(object) {
      if (object.kind === 'PersistentVolume') return [copiedClaim(object) ?? []].flat()
      const copied = clonedClaim(object)
      return [...(copied ? [copied] : []), ...(has(object, cloningFinalizer) ? [objectKey(object)] : [])]
    },
    planFor(claim) {
      const copied = clonedClaim(claim)
      if (copied) return clonePlan(claim, claims.get(copied), (name) => volumes.get(name))
      const restored = snapshotOfClaim(claim)
      return restored ? restorePlan(claim, snapshots.get(restored), (name) => contents.get(name)) : undefined
    },
    async hold(claim) {
      const copied = clonedClaim(claim)
      if (!copied) return true
      const source = claims.get(copied)
      return Boolean(source && (await holdWith(context, persistentVolumeClaims, source, cloningFinalizer, true)))
    },
    async release(key) {
      const source = claims.get(key)
      if (!source || !has(source, cloningFinalizer)) return
      const copies = volumes.list().filter((volume) => copiedVolume(volume) === source.spec.volumeName)
      if (!copies.some(isUnderWay)) await holdWith(context, persistentVolumeClaims, source, cloningFinalizer, false)
    },
  }
}
