// PersistentVolume: a piece of storage that outlives the Pods and VMs that use it.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dnsSubdomainProblems } from '../../api/names.ts'
import { ageColumn } from '../../api/table.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { text, unset } from '../columns.ts'
import { immutable } from '../rules/field.ts'
import { schemaOf, types } from '../types.ts'
import { accessModesText, storageClassText, validateAccessModes, validateStorageAmount } from './storage-rules.ts'
import { sourceOf, validateSources } from './volume-sources.ts'

const reclaimPolicies = ['Delete', 'Recycle', 'Retain']

function validate({ spec }: ApiObject, old?: ApiObject): FieldError[] {
  if (!spec) return [requiredValue('spec')]
  const errors = [
    ...validateAccessModes(spec.accessModes, 'spec.accessModes'),
    ...(spec.capacity
      ? validateStorageAmount(spec.capacity.storage, 'spec.capacity[storage]')
      : [requiredValue('spec.capacity')]),
    ...validateSources(spec),
  ]
  const policy = spec.persistentVolumeReclaimPolicy
  if (policy && !reclaimPolicies.includes(policy))
    errors.push(notSupported('spec.persistentVolumeReclaimPolicy', policy, reclaimPolicies))
  if (policy === 'Recycle' && spec.hostPath?.path === '/')
    errors.push(forbidden('spec.persistentVolumeReclaimPolicy', "may not be 'recycle' for a hostPath mount of '/'"))
  if (spec.storageClassName)
    for (const problem of dnsSubdomainProblems(spec.storageClassName))
      errors.push(invalidValue('spec.storageClassName', spec.storageClassName, problem))
  if (spec.volumeAttributesClassName !== undefined && !spec.csi)
    errors.push(requiredValue('spec.csi', 'has to be specified when using volumeAttributesClassName'))
  return old ? [...errors, ...validateChange(spec, old.spec ?? {})] : errors
}

function validateChange(spec: any, old: any): FieldError[] {
  const errors = immutable('spec.volumeMode', spec.volumeMode, old.volumeMode)
  const now = sourceOf(spec)
  // A secret for growing may come later.
  if (now.csi && old.csi && !old.csi.controllerExpandSecretRef)
    now.csi = { ...now.csi, controllerExpandSecretRef: undefined }
  if (!equalJson(JSON.parse(JSON.stringify(now)), sourceOf(old)))
    errors.push(forbidden('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation'))
  if (old.nodeAffinity !== undefined)
    errors.push(...immutable('spec.nodeAffinity', spec.nodeAffinity, old.nodeAffinity))
  if (old.volumeAttributesClassName !== undefined && spec.volumeAttributesClassName === undefined)
    errors.push(forbidden('spec.volumeAttributesClassName', 'update from non-nil value to nil is forbidden'))
  return errors
}

function phase({ metadata, status }: ApiObject): string {
  return metadata.deletionTimestamp ? 'Terminating' : (status?.phase ?? '')
}

export const persistentVolume = defineKind({
  group: '',
  version: 'v1',
  kind: 'PersistentVolume',
  plural: 'persistentvolumes',
  singular: 'persistentvolume',
  shortNames: ['pv'],
  scope: 'Cluster',
  schema: schemaOf('core.v1.PersistentVolume'),
  types,
  subresources: { status: true },
  hasGeneration: false,
  columns: [
    text('Capacity', (object) => object.spec?.capacity?.storage ?? '0'),
    text('Access Modes', (object) => accessModesText(object.spec?.accessModes)),
    text('Reclaim Policy', (object) => object.spec?.persistentVolumeReclaimPolicy ?? ''),
    text('Status', phase),
    text('Claim', ({ spec }) => (spec?.claimRef ? `${spec.claimRef.namespace}/${spec.claimRef.name}` : '')),
    text('StorageClass', storageClassText),
    text('VolumeAttributesClass', (object) => object.spec?.volumeAttributesClassName ?? unset),
    text('Reason', (object) => object.status?.reason ?? ''),
    ageColumn,
    text('VolumeMode', (object) => object.spec?.volumeMode ?? unset, 1),
  ],
  prepareCreate(object) {
    object.status = { phase: 'Pending' }
  },
  validate,
  example: {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: 'disk-1' },
    spec: { capacity: { storage: '5Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/srv/disk-1' } },
  },
})
