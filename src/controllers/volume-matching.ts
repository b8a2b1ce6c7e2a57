// Which PersistentVolume a claim gets, and what state the two are in. Pure; pkg/controller/volume/persistentvolume (1.32).

import type { StoredObject } from '../api/meta.ts'
import {
  compareQuantities,
  parseQuantity,
  type Quantity,
  quantityOf,
  quantityValue,
  tryParseQuantity,
} from '../api/quantity.ts'
import { selectorMatcher } from '../api/selector.ts'

export const bindCompleted = 'pv.kubernetes.io/bind-completed'
export const boundByController = 'pv.kubernetes.io/bound-by-controller'
export const selectedNode = 'volume.kubernetes.io/selected-node'
const defaultClass = 'storageclass.kubernetes.io/is-default-class'
const betaClass = 'volume.beta.kubernetes.io/storage-class'

const storageOf = (amount: string | undefined): Quantity => tryParseQuantity(amount ?? '0') ?? quantityOf(0)

/** What a claim asks for, in bytes. */
export const requestedBytes = ({ spec }: StoredObject): number =>
  Number(quantityValue(parseQuantity(String(spec.resources?.requests?.storage ?? '0'))))

/** '' asks for no class; undefined means that the default one is wanted. */
export const classOf = (object: StoredObject): string | undefined =>
  object.metadata.annotations?.[betaClass] ?? object.spec.storageClassName

export const isBoundTo = (volume: StoredObject, claim: StoredObject): boolean => {
  const reference = volume.spec.claimRef
  if (reference?.name !== claim.metadata.name || reference?.namespace !== claim.metadata.namespace) return false
  return !reference.uid || reference.uid === claim.metadata.uid
}

/** The volume that was reserved for the claim, else the smallest free one that fits. */
export function matchingVolume(
  claim: StoredObject,
  volumes: StoredObject[],
  onlyReserved: boolean,
): StoredObject | undefined {
  const selects = claim.spec.selector ? selectorMatcher(claim.spec.selector).matches : () => true
  const wanted = storageOf(claim.spec.resources?.requests?.storage)
  const capacity = (volume: StoredObject) => storageOf(volume.spec.capacity?.storage)
  const fits = (volume: StoredObject) =>
    compareQuantities(capacity(volume), wanted) >= 0 &&
    (volume.spec.volumeMode ?? 'Filesystem') === (claim.spec.volumeMode ?? 'Filesystem') &&
    !volume.metadata.deletionTimestamp
  const reserved = volumes.find((volume) => isBoundTo(volume, claim) && fits(volume))
  if (reserved || onlyReserved) return reserved
  const modes: string[] = claim.spec.accessModes ?? []
  return volumes
    .filter(
      (volume) =>
        fits(volume) &&
        !volume.spec.claimRef &&
        volume.status?.phase === 'Available' &&
        (classOf(volume) ?? '') === (classOf(claim) ?? '') &&
        modes.every((mode) => volume.spec.accessModes?.includes(mode)) &&
        selects(volume.metadata.labels),
    )
    .sort((a, b) => compareQuantities(capacity(a), capacity(b)) || (a.metadata.name < b.metadata.name ? -1 : 1))[0]
}

/** The newest of the classes that are marked as default. */
export function defaultStorageClass(classes: StoredObject[]): StoredObject | undefined {
  return classes
    .filter((storageClass) => storageClass.metadata.annotations?.[defaultClass] === 'true')
    .sort((a, b) => (a.metadata.creationTimestamp > b.metadata.creationTimestamp ? -1 : 1))[0]
}

/** Claims that a Pod's volumes use, by name; ephemeral volumes have a claim of their own. */
export function claimsOfPod(pod: StoredObject, which: 'named' | 'all' = 'all'): string[] {
  const names: string[] = []
  for (const volume of pod.spec?.volumes ?? []) {
    if (volume.persistentVolumeClaim) names.push(volume.persistentVolumeClaim.claimName)
    else if (volume.ephemeral && which === 'all') names.push(`${pod.metadata.name}-${volume.name}`)
  }
  return names
}

/** Claims that a virtual machine instance's volumes use; a DataVolume's claim has its name. */
export function claimsOfMachine(machine: StoredObject): string[] {
  const names: string[] = []
  for (const volume of machine.spec?.volumes ?? []) {
    const claim = volume.persistentVolumeClaim ?? volume.ephemeral?.persistentVolumeClaim
    if (claim) names.push(claim.claimName)
    else if (volume.dataVolume) names.push(volume.dataVolume.name)
    else if (volume.memoryDump) names.push(volume.memoryDump.claimName)
  }
  return names
}
