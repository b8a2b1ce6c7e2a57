// Whether a claim can be filled from the claim that it names. Pure; rules, their order and texts of external-provisioner 6.3
// (pkg/controller/controller.go: getPVCSource), with what to do beside them.

import type { StoredObject } from '../api/meta.ts'
import { parseQuantity, quantityValue } from '../api/quantity.ts'
import { isBeingFilled as isBeingImported } from '../kinds/cdi/annotations.ts'
import { isBeingFilled } from '../kinds/snapshot/memory.ts'
import { localProvisioner, provisionedBy } from '../kinds/storage/local-provisioner.ts'
import { filledFromVolume, isClaimReference, isOwnNamespace, sourceOfClaim } from '../kinds/storage/volume-sources.ts'
import { classOf, isBoundTo, requestedBytes } from './volume-matching.ts'
import type { SourcePlan } from './volume-restore-plan.ts'

/** 'namespace/name' of the claim that a claim is to be a copy of. */
export function clonedClaim(claim: StoredObject): string | undefined {
  const source = sourceOfClaim(claim)
  return isClaimReference(source) && isOwnNamespace(source, claim)
    ? `${claim.metadata.namespace}/${source.name}`
    : undefined
}

/** `source`: the claim that is named; `volume`: looks a PersistentVolume up. */
export function clonePlan(
  claim: StoredObject,
  source: StoredObject | undefined,
  volume: (name: string) => StoredObject | undefined,
): SourcePlan {
  const { name } = sourceOfClaim(claim)
  const problem = source
    ? (claimProblem(claim, source) ?? volumeProblem(claim, source, volume(source.spec.volumeName)))
    : `error getting PVC ${name} (namespace "${claim.metadata.namespace}") from api server: persistentvolumeclaim "${name}" not found: make it, or name another one`
  return problem === undefined
    ? { filledFrom: filledFromVolume(source!.spec.volumeName) }
    : { problem: `error getting handle for DataSource Type PersistentVolumeClaim by Name ${name}: ${problem}` }
}

/** Bytes. What is asked for counts before it is there, as upstream; and a volume may be larger than what its claim asks for. */
function sizeOf(source: StoredObject, volume: StoredObject | undefined): number {
  const capacity = String(volume?.spec.capacity?.storage ?? '0')
  return Math.max(requestedBytes(source), Number(quantityValue(parseQuantity(capacity))))
}

function claimProblem(claim: StoredObject, source: StoredObject): string | undefined {
  const { name, deletionTimestamp } = source.metadata
  const phase = source.status?.phase ?? 'Pending'
  if (phase !== 'Bound')
    return `the PVC DataSource ${name} must have a status of Bound.  Got ${phase}: the clone is made when it is bound`
  if (deletionTimestamp) return `the PVC DataSource ${name} is currently being deleted: name another one`
  if (classOf(source) === undefined)
    return `the source PVC (${name}) storageclass cannot be empty: name one in its spec.storageClassName`
  if (isBeingFilled(source) || isBeingImported(source))
    return `the PVC DataSource ${name} is being filled itself: the clone is made when it is full`
  return sizeProblem(claim, sizeOf(source, undefined))
}

function sizeProblem(claim: StoredObject, wanted: number): string | undefined {
  const size = requestedBytes(claim)
  return size >= wanted
    ? undefined
    : `error, new PVC request must be greater than or equal in size to the specified PVC data source, requested ${size} but source is ${wanted}: ask for ${wanted} at least`
}

function volumeProblem(claim: StoredObject, source: StoredObject, volume: StoredObject | undefined) {
  const { name, uid } = source.metadata
  if (!source.spec.volumeName) return `volume name is empty in source PVC ${name}`
  const invalid = (why: string) => `claim in dataSource not bound or invalid: ${why}`
  if (!volume) return invalid(`persistentvolume "${source.spec.volumeName}" not found`)
  if (volume.metadata.annotations?.[provisionedBy] !== localProvisioner)
    return invalid(
      `volume ${volume.metadata.name} is none of provisioner ${localProvisioner}. Make a DataVolume with source.pvc to copy it`,
    )
  if (!isBoundTo(volume, source) || volume.spec.claimRef.uid !== uid || volume.status?.phase !== 'Bound')
    return invalid(`volume ${volume.metadata.name} is not bound to ${name}`)
  const [is, wanted] = [volume, claim].map(({ spec }) => spec.volumeMode ?? 'Filesystem')
  if (is !== wanted)
    return `the source PVC and destination PVCs must have the same volume mode for cloning.  Source is ${is}, but new PVC requested ${wanted}: make it with volumeMode ${is}`
  return sizeProblem(claim, sizeOf(source, volume))
}
