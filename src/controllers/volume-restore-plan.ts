// Whether a claim can be filled from the snapshot that it names. Pure; rules and texts of external-provisioner 6.3
// (pkg/controller/controller.go), with what to do beside them.

import type { StoredObject } from '../api/meta.ts'
import { localProvisioner } from '../kinds/storage/local-provisioner.ts'
import { isClaimReference, isOwnNamespace, sourceOfClaim } from '../kinds/storage/volume-sources.ts'
import { modeChangeAllowed } from '../kinds/volumesnapshot/names.ts'
import { isSnapshotReference, restorable } from '../kinds/volumesnapshot/references.ts'
import { requestedBytes } from './volume-matching.ts'

/** What stands in filledFromAnnotation of the volume that is made; or why none is, until something changes. */
export type SourcePlan = { filledFrom: string } | { problem: string }

/** 'namespace/name' of the snapshot that a claim is to be filled from. */
export function snapshotOfClaim(claim: StoredObject): string | undefined {
  const source = sourceOfClaim(claim)
  return isSnapshotReference(source) && isOwnNamespace(source, claim)
    ? `${claim.metadata.namespace}/${source.name}`
    : undefined
}

/** Why the claim's source is none for a local volume; undefined when it is one, or none is asked for. */
export function sourceRefusal(claim: StoredObject): string | undefined {
  const source = sourceOfClaim(claim)
  if (!source) return undefined
  if (!isOwnNamespace(source, claim))
    return `provisioner ${localProvisioner} fills volumes from the claim's own namespace only: make a DataVolume with source.pvc or source.snapshot, or remove dataSourceRef.namespace`
  return isSnapshotReference(source) || isClaimReference(source)
    ? undefined
    : `provisioner ${localProvisioner} fills volumes from PersistentVolumeClaims and VolumeSnapshots only: name one of these, make a DataVolume, or remove dataSource and dataSourceRef`
}

export function restorePlan(
  claim: StoredObject,
  snapshot: StoredObject | undefined,
  content: (name: string) => StoredObject | undefined,
): SourcePlan {
  const { name } = sourceOfClaim(claim)
  const found = restorable(name, snapshot, content)
  if (typeof found === 'string')
    return { problem: `error getting handle for DataSource Type VolumeSnapshot by Name ${name}: ${found}` }
  const size = requestedBytes(claim)
  if (size < found.size)
    return {
      problem: `requested volume size ${size} is less than the size ${found.size} for the source snapshot ${name}: ask for ${found.size} at least`,
    }
  const wanted = claim.spec.volumeMode ?? 'Filesystem'
  const bound = content(snapshot!.status!.boundVolumeSnapshotContentName)!
  if (found.mode !== undefined && found.mode !== wanted && !bound.metadata.annotations?.[modeChangeAllowed])
    return {
      problem: `requested volume ${claim.metadata.namespace}/${claim.metadata.name} modifies the mode of the source volume but does not have permission to do so. ${modeChangeAllowed} annotation is not present on snapshotcontent ${bound.metadata.name}`,
    }
  return { filledFrom: found.handle }
}
