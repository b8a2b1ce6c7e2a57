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

/** The objects among `candidates` that belong to `owner` from now on. */
export async function claimObjects(
  client: Client,
  owner: { ref: ResourceRef; object: StoredObject },
  ref: ResourceRef,
  candidates: StoredObject[],
  matches: (object: StoredObject) => boolean,
): Promise<StoredObject[]> {
  const claimed: StoredObject[] = []
  let mayAdopt: Promise<boolean> | undefined
  for (const object of candidates) {
    const claim = claimOf(owner.object, object, matches(object))
    if (claim === 'keep') claimed.push(object)
    else if (claim === 'release') await setOwners(client, ref, object, ownersWithout(object, owner.object.metadata.uid))
    else if (claim === 'adopt') {
      mayAdopt ??= isStillAlive(client, owner)
      if (!(await mayAdopt)) continue
      const owners = [...(object.metadata.ownerReferences ?? []), controllerReference(owner.object)]
      const adopted = await setOwners(client, ref, object, owners)
      if (adopted) claimed.push(adopted)
    }
  }
  return claimed
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
