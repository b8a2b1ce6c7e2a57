// Claims without a class get the default one and grow only where their class allows it; claims and volumes in use are
// protected from vanishing (DefaultStorageClass, PersistentVolumeClaimResize, StorageObjectInUseProtection, 1.36).

import { compareQuantities, tryParseQuantity } from '../../api/quantity.ts'
import { formatTime } from '../../api/time.ts'
import { forbiddenObject } from '../auth/authz.ts'
import { type AdmissionPlugin, isCore } from './admission.ts'
import type { Lookup } from './lookup.ts'

const isDefault = ['storageclass.kubernetes.io/is-default-class', 'storageclass.beta.kubernetes.io/is-default-class']

export const defaultStorageClass = (lookup: Lookup): AdmissionPlugin => ({
  name: 'DefaultStorageClass',
  resources: ['persistentvolumeclaims'],
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
  resources: ['persistentvolumeclaims', 'persistentvolumes'],
  admit(request) {
    const { operation, resource, object, subresource } = request
    const finalizer = protection[resource.plural]
    if (operation !== 'CREATE' || resource.group !== '' || subresource || !finalizer) return
    const own = object!.metadata.finalizers ?? []
    if (!own.includes(finalizer)) object!.metadata.finalizers = [...own, finalizer]
  },
}

const claims = 'persistentvolumeclaims'

export const claimResize = (lookup: Lookup): AdmissionPlugin => ({
  name: 'PersistentVolumeClaimResize',
  resources: ['persistentvolumeclaims'],
  validate(request) {
    if (request.operation !== 'UPDATE' || !isCore(request, claims)) return
    const { object, old, name } = request
    const [after, before] = [object, old].map((claim) =>
      tryParseQuantity(String(claim?.spec?.resources?.requests?.storage)),
    )
    if (!after || !before || compareQuantities(after, before) <= 0) return
    if (old!.status?.phase !== 'Bound')
      throw forbiddenObject('', claims, name, 'Only bound persistent volume claims can be expanded')
    const className =
      old!.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? old!.spec?.storageClassName
    const storageClass = className ? lookup.get('storage.k8s.io', 'storageclasses', '', className) : undefined
    if (!storageClass?.allowVolumeExpansion)
      throw forbiddenObject(
        '',
        claims,
        name,
        'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
      )
  },
})

/** When a volume's phase changed is written down by the server, whoever changes it. */
export const phaseTimes = (now: () => number = Date.now): AdmissionPlugin => ({
  name: 'PersistentVolumePhaseTime',
  resources: ['persistentvolumes'],
  admit({ resource, object, old, operation }) {
    if (resource.plural !== 'persistentvolumes' || resource.group !== '' || !object || operation === 'DELETE') return
    const status = object.status as Record<string, unknown> | undefined
    if (!status?.phase || status.phase === old?.status?.phase) return
    if (status.lastPhaseTransitionTime !== old?.status?.lastPhaseTransitionTime && status.lastPhaseTransitionTime)
      return
    status.lastPhaseTransitionTime = formatTime(now())
  },
})
