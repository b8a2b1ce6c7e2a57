// The claim of a DataVolume: as its spec says, completed from the StorageProfile of its class. Pure; CDI 1.65
// (pkg/controller/datavolume/util.go).

import type { ApiObject, StoredObject } from '../api/meta.ts'
import { parseQuantity, quantityValue } from '../api/quantity.ts'
import {
  appLabel,
  contentType,
  createdForDataVolume,
  podRestarts,
  preallocationRequested,
  prePopulated,
  uploadTarget,
  usePopulator,
} from '../kinds/cdi/annotations.ts'
import { controllerReference } from './ownership.ts'
import { defaultStorageClass } from './volume-matching.ts'

const mebibyte = 1024 * 1024
/** What a file system keeps for itself (CDIConfig's default). */
export const filesystemOverhead = 0.06
const virtClass = 'storageclass.kubevirt.io/is-default-virt-class'

export interface ClaimFacts {
  volume: StoredObject
  classes: StoredObject[]
  profile(storageClass: string): StoredObject | undefined
  /** What it is a clone of. */
  source?: StoredObject | undefined
  /** The setting of CDI for volumes that do not say. */
  preallocation?: boolean
}

export type ClaimPlan = { claim: ApiObject } | { problem: { reason: string; message: string } }

const bytesOf = (amount: unknown): number => Number(quantityValue(parseQuantity(String(amount))))

/** A volume of this many bytes holds a disk of `size` bytes. */
export function withOverhead(size: number): number {
  const aligned = Math.ceil(size / mebibyte) * mebibyte
  let bytes = Math.ceil(aligned / (1 - filesystemOverhead))
  // What is taken off again is rounded down: the disk must not lose by it.
  while (Math.floor((bytes * (1 - filesystemOverhead)) / mebibyte) * mebibyte < aligned) bytes += mebibyte
  return bytes
}

const invalid = (message: string): ClaimPlan => ({ problem: { reason: 'ErrClaimNotValid', message } })

export function planClaim(facts: ClaimFacts): ClaimPlan {
  const { volume, source } = facts
  const { spec } = volume
  const wanted = spec.pvc ?? completed(facts)
  if (typeof wanted === 'string') return invalid(wanted)
  const isBlock = wanted.volumeMode === 'Block'
  const size = source ? cloneSize(volume, source, isBlock) : (spec.pvc ?? spec.storage).resources?.requests?.storage
  if (typeof size === 'object' && size.problem)
    return {
      problem: {
        reason: 'CloneValidationFailed',
        message: `The clone doesn't meet the validation requirements: ${size.problem}`,
      },
    }
  if (spec.contentType === 'archive' && isBlock) return invalid('ContentType Archive cannot have block volumeMode')
  const isExact = spec.pvc || source || isBlock
  const storage = typeof size === 'object' ? size.storage : isExact ? String(size) : String(withOverhead(bytesOf(size)))
  const resources = { ...wanted.resources, requests: { ...wanted.resources?.requests, storage } }
  return { claim: claimObject(facts, { ...wanted, resources }) }
}

/** As large as the source, and never smaller. */
function cloneSize(
  volume: StoredObject,
  source: StoredObject,
  isBlock: boolean,
): { storage: string; problem?: string } {
  const { spec } = volume
  const whole = source.status?.capacity?.storage ?? source.spec.resources.requests.storage
  const fromBlock = source.spec.volumeMode === 'Block'
  // The disk of a block volume is all of it: beside a file system it needs more room.
  const there = fromBlock && !isBlock ? withOverhead(bytesOf(whole)) : whole
  const asked = (spec.pvc ?? spec.storage).resources?.requests?.storage
  if (asked === undefined) return { storage: String(there) }
  const isWhole = spec.pvc || (fromBlock && isBlock)
  const wanted = isWhole ? bytesOf(asked) : withOverhead(bytesOf(asked))
  if (wanted >= bytesOf(there)) return { storage: isWhole ? String(asked) : String(wanted) }
  // With room for a file system the disk of the source may fit although the number is smaller.
  if (bytesOf(asked) >= bytesOf(there)) return { storage: String(there) }
  return { storage: '', problem: 'target resources requests storage size is smaller than the source' }
}

/** spec.storage with the class, access modes and volume mode of its StorageProfile; or what is missing. */
function completed({ volume, classes, profile }: ClaimFacts): any {
  const { storage } = volume.spec
  const storageClass = storage.storageClassName || classForMachines(classes)?.metadata.name
  const sets: any[] = (storageClass && profile(storageClass)?.status?.claimPropertySets) || []
  const fitting = sets.find(({ volumeMode }) => !storage.volumeMode || volumeMode === storage.volumeMode)
  const accessModes = storage.accessModes?.length ? storage.accessModes : fitting?.accessModes
  if (!accessModes)
    return storageClass
      ? `no accessMode specified in StorageProfile ${storageClass}`
      : 'no accessMode specified and StorageClass not found'
  const matching = storage.accessModes?.length
    ? sets.find((set) => storage.accessModes.every((mode: string) => set.accessModes.includes(mode)))
    : fitting
  const volumeMode = storage.volumeMode ?? matching?.volumeMode ?? 'Filesystem'
  return { ...storage, accessModes, volumeMode, ...(storageClass && { storageClassName: storageClass }) }
}

/** The default class for machines, else the default one. */
const classForMachines = (classes: StoredObject[]): StoredObject | undefined =>
  classes.find(({ metadata }) => metadata.annotations?.[virtClass] === 'true') ?? defaultStorageClass(classes)

function claimObject({ volume, preallocation }: ClaimFacts, spec: object): ApiObject {
  const { name, namespace, uid, labels, annotations } = volume.metadata
  const { 'kubectl.kubernetes.io/last-applied-configuration': _, ...kept } = annotations ?? {}
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name,
      namespace: namespace!,
      labels: { ...appLabel, ...labels },
      annotations: {
        ...kept,
        [podRestarts]: '0',
        [contentType]: volume.spec.contentType || 'kubevirt',
        [preallocationRequested]: String(volume.spec.preallocation ?? preallocation ?? false),
        [createdForDataVolume]: uid,
        [usePopulator]: 'false',
        ...(volume.spec.source?.upload && { [uploadTarget]: '' }),
      },
      ownerReferences: [controllerReference(volume)],
    },
    spec,
  }
}

export const isPrePopulated = ({ metadata }: StoredObject): boolean =>
  metadata.annotations?.[prePopulated] === metadata.name
