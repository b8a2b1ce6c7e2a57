// Claims without a class get the default one; claims and volumes in use are protected from vanishing
// (DefaultStorageClass, StorageObjectInUseProtection).

import { type AdmissionPlugin, isCore } from './admission.ts'
import type { Lookup } from './lookup.ts'

const isDefault = ['storageclass.kubernetes.io/is-default-class', 'storageclass.beta.kubernetes.io/is-default-class']

export const defaultStorageClass = (lookup: Lookup): AdmissionPlugin => ({
  name: 'DefaultStorageClass',
  admit(request) {
    if (request.operation !== 'CREATE' || !isCore(request, 'persistentvolumeclaims')) return
    const object = request.object!
    // An empty name is an answer: no class at all.
    if (object.spec?.storageClassName !== undefined || !object.spec) return
    if (object.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] !== undefined) return
    const newest = lookup
      .list('storage.k8s.io', 'storageclasses')
      .filter((one) => isDefault.some((key) => one.metadata.annotations?.[key] === 'true'))
      .sort(
        (a, b) =>
          b.metadata.creationTimestamp.localeCompare(a.metadata.creationTimestamp) ||
          a.metadata.name.localeCompare(b.metadata.name),
      )[0]
    if (newest) object.spec.storageClassName = newest.metadata.name
  },
})

const protection: Record<string, string> = {
  persistentvolumeclaims: 'kubernetes.io/pvc-protection',
  persistentvolumes: 'kubernetes.io/pv-protection',
}

/** The controllers that take these finalizers off again must run: main.ts decides. */
export const inUseProtection: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  admit(request) {
    const { operation, resource, object, subresource } = request
    const finalizer = protection[resource.plural]
    if (operation !== 'CREATE' || resource.group !== '' || subresource || !finalizer) return
    const own = object!.metadata.finalizers ?? []
    if (!own.includes(finalizer)) object!.metadata.finalizers = [...own, finalizer]
  },
}
