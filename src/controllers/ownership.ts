// Who controls an object: adopting orphans that a selector matches, releasing what it matches no longer. Mirrors
// controller_ref_manager.go (1.32).

import { isApiError } from '../api/errors.ts'
import type { OwnerReference, ResourceRef, StoredObject } from '../api/meta.ts'
import { controllerOf } from '../api/meta.ts'
import type { Client } from '../client/client.ts'

export const controllerReference = (owner: StoredObject): OwnerReference => ({
  apiVersion: owner.apiVersion,
  kind: owner.kind,
  name: owner.metadata.name,
  uid: owner.metadata.uid,
  controller: true,
  blockOwnerDeletion: true,
})

export type Claim = 'keep' | 'adopt' | 'release' | 'ignore'

/** What to do with an object that might belong to `owner`. Pure. */
export function claimOf(owner: StoredObject, object: StoredObject, matches: boolean): Claim {
  const controller = controllerOf(object)
  if (controller) {
    if (controller.uid !== owner.metadata.uid) return 'ignore'
    if (matches) return 'keep'
    return owner.metadata.deletionTimestamp ? 'ignore' : 'release'
  }
  if (owner.metadata.deletionTimestamp || !matches || object.metadata.deletionTimestamp) return 'ignore'
  return 'adopt'
}

/** The objects among `candidates` that belong to `owner` from now on; adopted ones get the finalizers, released ones lose them. */
export async function claimObjects(
  client: Client,
  owner: { ref: ResourceRef; object: StoredObject },
  ref: ResourceRef,
  candidates: StoredObject[],
  matches: (object: StoredObject) => boolean,
  finalizers: string[] = [],
): Promise<StoredObject[]> {
  const claimed: StoredObject[] = []
  let mayAdopt: Promise<boolean> | undefined
  for (const object of candidates) {
    const claim = claimOf(owner.object, object, matches(object))
    if (claim === 'keep') claimed.push(object)
    else if (claim === 'release') await release(client, ref, object, owner.object, finalizers)
    else if (claim === 'adopt') {
      mayAdopt ??= isStillAlive(client, owner)
      if (!(await mayAdopt)) continue
      const adopted = await adopt(client, ref, object, owner.object, finalizers)
      if (adopted) claimed.push(adopted)
    }
  }
  return claimed
}

/**
 * Adds or removes one owner, whatever else of the object changes at the same moment: a Pod that is being started must not
 * slip through. Undefined when the object is gone, or when somebody else has become its controller.
 */
async function changeOwner(
  client: Client,
  ref: ResourceRef,
  object: StoredObject,
  owner: object,
  more: object = {},
): Promise<StoredObject | undefined> {
  const { name, namespace, uid } = object.metadata
  const metadata = { uid, ownerReferences: [owner], ...more }
  try {
    return await client.patch(ref, name, namespace, 'strategic', { metadata })
  } catch (error) {
    if (isApiError(error, 'NotFound') || isApiError(error, 'Invalid') || isApiError(error, 'Conflict')) return undefined
    throw error
  }
}

/** Custom resources have no strategic patches. */
const isBuiltIn = ({ group }: ResourceRef): boolean => !group.includes('.')

async function adopt(
  client: Client,
  ref: ResourceRef,
  object: StoredObject,
  owner: StoredObject,
  finalizers: string[],
) {
  const reference = controllerReference(owner)
  if (isBuiltIn(ref)) return changeOwner(client, ref, object, reference, finalizers.length ? { finalizers } : {})
  return setOwners(client, ref, object, [...(object.metadata.ownerReferences ?? []), reference])
}

async function release(
  client: Client,
  ref: ResourceRef,
  object: StoredObject,
  { metadata: { uid } }: StoredObject,
  finalizers: string[],
) {
  const dropped = finalizers.length ? { '$deleteFromPrimitiveList/finalizers': finalizers } : {}
  if (isBuiltIn(ref)) return changeOwner(client, ref, object, { $patch: 'delete', uid }, dropped)
  return setOwners(client, ref, object, ownersWithout(object, uid))
}

export const ownersWithout = (object: StoredObject, uid: string): OwnerReference[] =>
  (object.metadata.ownerReferences ?? []).filter((reference) => reference.uid !== uid)

/** Undefined when the object has changed or gone in the meantime: the next reconcile looks again. */
export async function setOwners(
  client: Client,
  ref: ResourceRef,
  object: StoredObject,
  ownerReferences: OwnerReference[],
): Promise<StoredObject | undefined> {
  const { name, namespace, uid, resourceVersion } = object.metadata
  const metadata = { uid, resourceVersion, ownerReferences: ownerReferences.length ? ownerReferences : null }
  try {
    return await client.patch(ref, name, namespace, 'merge', { metadata })
  } catch (error) {
    if (isApiError(error, 'NotFound') || isApiError(error, 'Conflict')) return undefined
    throw error
  }
}

/** Asks the server, not the informer: an owner that is being deleted must not collect new dependents. */
async function isStillAlive(client: Client, owner: { ref: ResourceRef; object: StoredObject }): Promise<boolean> {
  const { name, namespace, uid } = owner.object.metadata
  try {
    const now = await client.get(owner.ref, name, namespace)
    return now.metadata.uid === uid && !now.metadata.deletionTimestamp
  } catch (error) {
    if (isApiError(error, 'NotFound')) return false
    throw error
  }
}
