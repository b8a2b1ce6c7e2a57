// Volumes of the local StorageClass: a directory of this machine for each claim; in that of a raw one is the file that holds
// its bytes. Pure.

import type { ApiObject, StoredObject } from '../api/meta.ts'
import { filledFromAnnotation } from '../kinds/snapshot/memory.ts'
import { localProvisioner, provisionedBy } from '../kinds/storage/local-provisioner.ts'

export const localClass = 'local'

export const localVolumeName = (claim: StoredObject): string => `pvc-${claim.metadata.uid}`

/** The PersistentVolume for a claim, bound to it from birth; `filledFrom`: whose data is to be in it before (filledFromAnnotation). */
export function localVolume(
  claim: StoredObject,
  storageClass: StoredObject,
  nodeName: string,
  volumesDir: string,
  filledFrom?: string,
): ApiObject {
  const { name, namespace, uid, resourceVersion } = claim.metadata
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: {
      name: localVolumeName(claim),
      annotations: {
        [provisionedBy]: localProvisioner,
        'pv.kubernetes.io/bound-by-controller': 'yes',
        ...(filledFrom && { [filledFromAnnotation]: filledFrom }),
      },
      finalizers: ['kubernetes.io/pv-protection'],
    },
    spec: {
      capacity: { storage: claim.spec.resources.requests.storage },
      accessModes: claim.spec.accessModes,
      volumeMode: claim.spec.volumeMode ?? 'Filesystem',
      persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? 'Delete',
      storageClassName: storageClass.metadata.name,
      ...(storageClass.mountOptions && { mountOptions: storageClass.mountOptions }),
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid, resourceVersion },
      // namespace and claim in the name: a person who looks into the directory finds whose data it is.
      local: { path: `${volumesDir}/${localVolumeName(claim)}_${namespace}_${name}` },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [nodeName] }] },
          ],
        },
      },
    },
  }
}

/** The directory to remove with the volume; undefined for a volume that we did not make. */
export function localVolumePath(volume: StoredObject, volumesDir: string): string | undefined {
  if (volume.metadata.annotations?.[provisionedBy] !== localProvisioner) return undefined
  const path: unknown = volume.spec.local?.path
  // The path stands in an object that a person may edit: never anything but a direct child of our directory.
  if (typeof path !== 'string' || !path.startsWith(`${volumesDir}/`)) return undefined
  const name = path.slice(volumesDir.length + 1)
  return name && !name.includes('/') && name !== '.' && name !== '..' ? path : undefined
}
