// What a volume recommends for its machine: labels of the claim below it, or of what its DataVolume is cloned from.
// The way and the texts: KubeVirt (pkg/instancetype/infer, 1.9); that a DataSource stands for another one: CDI 1.65.

import { isApiError } from '../api/errors.ts'
import type { ResourceRef, StoredObject } from '../api/meta.ts'
import { dataSources, dataVolumes, persistentVolumeClaims, volumeSnapshots } from './resources.ts'

export interface Recommendation {
  name: string
  /** '': the label that names it is not there. */
  kind: string
}

/** Nothing is recommended: what inferFromVolumeFailurePolicy Ignore puts up with, unlike an object that is not there. */
export class NothingInferred extends Error {}

/** @throws ApiError when it is not there */
export type Read = (ref: ResourceRef, name: string, namespace: string) => Promise<StoredObject>

interface Place {
  namespace: string
  name: string
}

/** @throws NothingInferred, or Error that a person can act on */
export function createInference(read: Read, label: string) {
  function labelled(labels: Record<string, string> | undefined): Recommendation | undefined {
    const name = labels?.[label]
    return name ? { name, kind: labels[`${label}-kind`] ?? '' } : undefined
  }

  async function ofObject(ref: ResourceRef, { name, namespace }: Place): Promise<Recommendation> {
    const found = labelled((await read(ref, name, namespace)).metadata.labels)
    if (found) return found
    throw new NothingInferred(`unable to find required ${label} label on the volume`)
  }

  const ofClaim = (place: Place) => ofObject(persistentVolumeClaims, place)

  /** undefined when the source is neither a claim nor a snapshot. */
  async function ofSource({ pvc, snapshot }: any, own: string): Promise<Recommendation | undefined> {
    if (pvc) return ofClaim({ name: pvc.name, namespace: pvc.namespace || own })
    return snapshot && ofObject(volumeSnapshots, { name: snapshot.name, namespace: snapshot.namespace || own })
  }

  /** @param mayRefer a DataSource that another one stands for stands for no third */
  async function ofDataSource({ name, namespace }: Place, mayRefer: boolean): Promise<Recommendation> {
    const { metadata, spec } = await read(dataSources, name, namespace)
    const source = spec?.source ?? {}
    const found = labelled(metadata.labels) ?? (await ofSource(source, namespace))
    if (found) return found
    const other = mayRefer && source.dataSource
    if (other) return ofDataSource({ name: other.name, namespace: other.namespace || namespace }, false)
    throw new NothingInferred(
      "unable to infer defaults from DataSource that doesn't provide DataVolumeSourcePVC or DataVolumeSourceSnapshot",
    )
  }

  async function ofSpec({ source = {}, sourceRef }: any, place: Place): Promise<Recommendation> {
    const found = await ofSource(source, place.namespace)
    if (found) return found
    if (sourceRef?.kind === 'DataSource')
      return ofDataSource({ name: sourceRef.name, namespace: sourceRef.namespace || place.namespace }, true)
    if (sourceRef)
      throw new NothingInferred(
        `unable to infer defaults from DataVolumeSourceRef as Kind ${sourceRef.kind} is not supported`,
      )
    const text = 'unable to infer defaults from DataVolumeSpec as DataVolumeSource is not supported'
    // What is downloaded or uploaded has no labels but those of its own claim, if there is one.
    return ofClaim(place).catch((error) => {
      throw error instanceof NothingInferred || isApiError(error, 'NotFound') ? new NothingInferred(text) : error
    })
  }

  async function ofDataVolume(machine: StoredObject, place: Place): Promise<Recommendation> {
    const template = machine.spec.dataVolumeTemplates?.find((one: any) => one?.metadata?.name === place.name)
    const volume =
      template ??
      (await read(dataVolumes, place.name, place.namespace).catch((error) => {
        if (!isApiError(error, 'NotFound')) throw error
      }))
    if (!volume) return ofClaim(place)
    return labelled(volume.metadata?.labels) ?? ofSpec(volume.spec ?? {}, place)
  }

  return async (machine: StoredObject, volumeName: string): Promise<Recommendation> => {
    const namespace = machine.metadata.namespace!
    const volume = machine.spec.template?.spec?.volumes?.find((one: any) => one?.name === volumeName)
    if (!volume) throw new Error(`unable to find volume ${volumeName} to infer defaults`)
    const { persistentVolumeClaim: claim, dataVolume } = volume
    if (claim) return ofClaim({ name: claim.claimName, namespace })
    if (dataVolume) return ofDataVolume(machine, { name: dataVolume.name, namespace })
    throw new NothingInferred(`unable to infer defaults from volume ${volumeName} as type is not supported`)
  }
}
