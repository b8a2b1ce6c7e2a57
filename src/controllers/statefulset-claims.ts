// Who owns the claims of a StatefulSet: persistentVolumeClaimRetentionPolicy, said to the garbage collector as owner
// references. Pure; pkg/controller/statefulset (1.36).

import type { ApiObject, OwnerReference, StoredObject } from '../api/meta.ts'
import { controllerReference } from './ownership.ts'
import { isInRange, ordinalOf } from './statefulset-plan.ts'

const names = (reference: OwnerReference, object: StoredObject): boolean =>
  reference.apiVersion === object.apiVersion &&
  reference.kind === object.kind &&
  reference.name === object.metadata.name

const isStale = (reference: OwnerReference, object: StoredObject): boolean =>
  names(reference, object) && reference.uid !== object.metadata.uid

/** A claim that belongs to an earlier Pod of this name is on its way out: the new Pod must wait for a new claim. */
export const waitsForOldPod = (claim: StoredObject, pod: ApiObject): boolean =>
  (claim.metadata.ownerReferences ?? []).some(
    (reference) => reference.kind === 'Pod' && reference.name === pod.metadata.name,
  )

/** The owner that the policy names for the claims of a Pod. */
function rightOwner(set: StoredObject, pod: StoredObject): StoredObject | undefined {
  const { whenDeleted, whenScaled } = set.spec.persistentVolumeClaimRetentionPolicy ?? {}
  const isScaledDown = !isInRange(set, ordinalOf(set, pod))
  if (whenScaled === 'Delete' && isScaledDown) return pod
  return whenDeleted === 'Delete' ? set : undefined
}

const hasPolicy = (set: StoredObject): boolean =>
  Object.values(set.spec.persistentVolumeClaimRetentionPolicy ?? {}).includes('Delete')

/** Somebody else controls the claim: the policy does not count for it. */
export const hasStrangeController = (claim: StoredObject, set: StoredObject, pod: StoredObject): boolean =>
  hasPolicy(set) &&
  (claim.metadata.ownerReferences ?? []).some(
    (reference) => reference.controller && !names(reference, set) && !names(reference, pod),
  )

/** The owner references that the claim should have; undefined when it has them, or is not ours to touch. */
export function claimOwners(claim: StoredObject, set: StoredObject, pod: StoredObject): OwnerReference[] | undefined {
  const references = claim.metadata.ownerReferences ?? []
  if (references.some((reference) => isStale(reference, set) || isStale(reference, pod))) return undefined
  const others = references.filter((reference) => !names(reference, set) && !names(reference, pod))
  const owner = hasStrangeController(claim, set, pod) ? undefined : rightOwner(set, pod)
  const ours = references.filter((reference) => !others.includes(reference))
  const isRight = owner
    ? ours.length === 1 && ours[0]!.uid === owner.metadata.uid && ours[0]!.controller === true
    : ours.length === 0
  return isRight ? undefined : [...others, ...(owner ? [controllerReference(owner)] : [])]
}
