// What a claim names to be filled from, and what says so on the volume that is made for it. Pure.

import type { StoredObject } from '../../api/meta.ts'
import { filledFromAnnotation } from '../snapshot/memory.ts'

/** On a claim while it is copied into another one (external-provisioner 6.3, pkg/controller/controller.go). */
export const cloningFinalizer = 'provisioner.storage.kubernetes.io/cloning-protection'

/** Of a claim's dataSource or dataSourceRef. */
export const isClaimReference = (source: any): boolean => source?.kind === 'PersistentVolumeClaim' && !source.apiGroup

/** What the claim is to be filled from; upstream looks at the older field first. */
export const sourceOfClaim = ({ spec }: StoredObject): any => spec.dataSource ?? spec.dataSourceRef

export const isOwnNamespace = (source: any, { metadata }: StoredObject): boolean =>
  !source.namespace || source.namespace === metadata.namespace

/** No handle of a snapshot has a slash. */
const volumeMark = 'volume/'

/** As filledFromAnnotation has it, for a copy of the volume of that name. */
export const filledFromVolume = (name: string): string => volumeMark + name

/** The name of the volume that this one is, or was, a copy of; undefined for one that has another source, or none. */
export function copiedVolume({ metadata }: StoredObject): string | undefined {
  const from = metadata.annotations?.[filledFromAnnotation]
  return from?.startsWith(volumeMark) ? from.slice(volumeMark.length) : undefined
}
