// What is to be put into a claim: read from the DataVolume that the claim was made for, never from the claim's own
// annotations, which whoever may write claims can change. Pure.

import type { StoredObject } from '../../api/meta.ts'
import { controllerOf } from '../../api/meta.ts'
import {
  contentType,
  fatalError,
  podPhase,
  populatedFor,
  preallocationRequested,
  uploadTarget,
} from '../../kinds/cdi/annotations.ts'

export interface HttpOrder {
  kind: 'http'
  url: string
  secret?: string
  certConfigMap?: string
  headers: string[]
  secretHeaders: string[]
  checksum?: string
  insecure: boolean
}

export interface RegistryOrder {
  kind: 'registry'
  image: string
  secret?: string
  architecture?: string
}

export type Origin = { kind: 'blank' } | { kind: 'upload' } | { kind: 'clone' } | HttpOrder | RegistryOrder

export interface Order {
  origin: Origin
  archive: boolean
  preallocate: boolean
}

const annotation = (claim: StoredObject, name: string) => claim.metadata.annotations?.[name]

/** Nothing is left to do: it has its content, or never gets it. */
export const isOver = (claim: StoredObject): boolean =>
  annotation(claim, podPhase) === 'Succeeded' ||
  annotation(claim, fatalError) === 'true' ||
  annotation(claim, populatedFor) !== undefined

/** The name of the DataVolume that the claim belongs to. */
export function dataVolumeOf(claim: StoredObject): { name: string; uid: string } | undefined {
  const owner = controllerOf(claim)
  return owner?.kind === 'DataVolume' && owner.apiVersion.startsWith('cdi.kubevirt.io/')
    ? { name: owner.name, uid: owner.uid }
    : undefined
}

/** undefined when nothing of ours is to be done with the claim. */
export function orderFor(claim: StoredObject, volume: StoredObject | undefined): Order | undefined {
  if (claim.status?.phase !== 'Bound' || claim.metadata.deletionTimestamp || isOver(claim)) return undefined
  const preallocate = annotation(claim, preallocationRequested) === 'true'
  if (!dataVolumeOf(claim))
    return annotation(claim, uploadTarget) === undefined
      ? undefined
      : { origin: { kind: 'upload' }, archive: annotation(claim, contentType) === 'archive', preallocate }
  if (!volume || volume.metadata.deletionTimestamp) return undefined
  const storage = volume.spec.pvc ?? volume.spec.storage ?? {}
  if (storage.dataSource || storage.dataSourceRef) return undefined
  return { origin: originOf(volume.spec), archive: volume.spec.contentType === 'archive', preallocate }
}

function originOf({ source = {}, sourceRef }: any): Origin {
  if (sourceRef || source.pvc || source.snapshot) return { kind: 'clone' }
  if (source.upload) return { kind: 'upload' }
  if (source.http) {
    const { url, secretRef, certConfigMap, checksum } = source.http
    return {
      kind: 'http',
      url,
      headers: source.http.extraHeaders ?? [],
      secretHeaders: source.http.secretExtraHeaders ?? [],
      insecure: source.http.insecureSkipVerify === true,
      ...(secretRef && { secret: secretRef }),
      ...(certConfigMap && { certConfigMap }),
      ...(checksum && { checksum }),
    }
  }
  if (source.registry)
    return {
      kind: 'registry',
      image: source.registry.url.replace(/^docker:\/\//, ''),
      ...(source.registry.secretRef && { secret: source.registry.secretRef }),
      ...(source.registry.platform?.architecture && { architecture: source.registry.platform.architecture }),
    }
  return { kind: 'blank' }
}

/** 10 s, 20 s, 40 s … 5 min, as a container that ends again and again is started (kubelet 1.36). */
export const retryDelay = (failures: number): number => Math.min(10_000 * 2 ** Math.max(0, failures - 1), 300_000)
