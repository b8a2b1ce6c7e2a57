// Whether a claim can be filled from the snapshot that it names. Pure; rules and texts of external-provisioner 6.3
// (pkg/controller/controller.go), with what to do beside them.

import type { StoredObject } from '../api/meta.ts'
import { parseQuantity, quantityValue } from '../api/quantity.ts'
import { localProvisioner } from '../kinds/storage/local-provisioner.ts'
import { modeChangeAllowed } from '../kinds/volumesnapshot/names.ts'
import { isSnapshotReference, restorable } from '../kinds/volumesnapshot/references.ts'

export type RestorePlan = { handle: string } | { problem: string }

const sourceOf = ({ spec }: StoredObject): any => spec.dataSource ?? spec.dataSourceRef

/** 'namespace/name' of the snapshot that a claim is to be filled from. */
export function snapshotOfClaim(claim: StoredObject): string | undefined {
  const source = sourceOf(claim)
  return isSnapshotReference(source) && !source.namespace ? `${claim.metadata.namespace}/${source.name}` : undefined
}

/** Why the claim's source is none for a local volume; undefined when it is one, or none is asked for. */
export function sourceRefusal(claim: StoredObject): string | undefined {
  const source = sourceOf(claim)
  if (!source) return undefined
  if (source.namespace && source.namespace !== claim.metadata.namespace)
    return `provisioner ${localProvisioner} fills volumes from the claim's own namespace only: make a DataVolume with source.snapshot, or remove dataSourceRef.namespace`
  return isSnapshotReference(source)
    ? undefined
    : `provisioner ${localProvisioner} fills volumes from VolumeSnapshots only: make a DataVolume to copy a claim, or remove dataSource and dataSourceRef`
}

export function restorePlan(
  claim: StoredObject,
  snapshot: StoredObject | undefined,
  content: (name: string) => StoredObject | undefined,
): RestorePlan {
  const { name } = sourceOf(claim)
  const found = restorable(name, snapshot, content)
  if (typeof found === 'string')
    return { problem: `error getting handle for DataSource Type VolumeSnapshot by Name ${name}: ${found}` }
  const size = Number(quantityValue(parseQuantity(String(claim.spec.resources?.requests?.storage ?? '0'))))
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
  return { handle: found.handle }
}
