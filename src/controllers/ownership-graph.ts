// What the garbage collector does with an object, decided on who owns it and who it owns. Pure;
// pkg/controller/garbagecollector (1.32).

import type { OwnerReference, StoredObject } from '../api/meta.ts'

export const foregroundFinalizer = 'foregroundDeletion'
export const orphanFinalizer = 'orphan'

export type OwnerState = 'solid' | 'absent' | 'waiting'

export const hasFinalizer = (object: StoredObject, finalizer: string): boolean =>
  object.metadata.finalizers?.includes(finalizer) ?? false

/** Deleted in the foreground: it waits for what it owns. */
export const waitsForDependents = (object: StoredObject): boolean =>
  Boolean(object.metadata.deletionTimestamp) && hasFinalizer(object, foregroundFinalizer)

/** Deleted, and what it owns is to stay. */
export const letsGoOfDependents = (object: StoredObject): boolean =>
  Boolean(object.metadata.deletionTimestamp) && hasFinalizer(object, orphanFinalizer)

/** Dependents that an owner in foreground deletion has to wait for. */
export const blockingDependents = (owner: StoredObject, dependents: StoredObject[]): StoredObject[] =>
  dependents.filter((dependent) =>
    dependent.metadata.ownerReferences?.some(
      (reference) => reference.uid === owner.metadata.uid && reference.blockOwnerDeletion,
    ),
  )

export type Verdict =
  | { kind: 'keep' }
  /** Some owners are gone, others are not: the references that are of no use any more go. */
  | { kind: 'unreference'; owners: OwnerReference[] }
  | { kind: 'delete'; propagation: 'Foreground' | 'Background' | 'Orphan' }

/** For an object with owners that is not being deleted itself. */
export function verdict(
  object: StoredObject,
  owners: { reference: OwnerReference; state: OwnerState }[],
  dependents: StoredObject[],
): Verdict {
  const solid = owners.filter(({ state }) => state === 'solid')
  if (solid.length)
    return solid.length === owners.length
      ? { kind: 'keep' }
      : { kind: 'unreference', owners: solid.map(({ reference }) => reference) }
  if (!owners.length) return { kind: 'keep' }
  const isWaitedFor = owners.some(({ state }) => state === 'waiting')
  if (isWaitedFor && dependents.length) return { kind: 'delete', propagation: 'Foreground' }
  if (hasFinalizer(object, orphanFinalizer)) return { kind: 'delete', propagation: 'Orphan' }
  if (hasFinalizer(object, foregroundFinalizer)) return { kind: 'delete', propagation: 'Foreground' }
  return { kind: 'delete', propagation: 'Background' }
}
