// PersistentVolume: a piece of storage that outlives the Pods and VMs that use it.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden, requiredValue } from '../../api/walk/rules.ts'
import { text, unset } from '../columns.ts'
import { immutable } from '../rules/field.ts'
import { schemaOf, types } from '../types.ts'
import { accessModesText, storageClassText, validateAccessModes, validateStorageAmount } from './storage-rules.ts'

const sources = Object.keys(types['core.v1.PersistentVolumeSource']?.properties ?? {})
const supported = ['hostPath', 'local']

const sourceOf = (spec: any): Record<string, unknown> =>
  Object.fromEntries(sources.filter((name) => spec?.[name] !== undefined).map((name) => [name, spec[name]]))

function validate({ spec }: ApiObject, old?: ApiObject): FieldError[] {
  if (!spec) return [requiredValue('spec')]
  const errors = [
    ...validateAccessModes(spec.accessModes, 'spec.accessModes'),
    ...(spec.capacity
      ? validateStorageAmount(spec.capacity.storage, 'spec.capacity[storage]')
      : [requiredValue('spec.capacity')]),
  ]
  const given = Object.keys(sourceOf(spec))
  if (given.length === 0) errors.push(requiredValue('spec', 'must specify a volume type'))
  for (const name of given) {
    if (!supported.includes(name))
      errors.push(forbidden(`spec.${name}`, `this volume type is not supported here; use ${supported.join(' or ')}`))
    else if (!spec[name]?.path) errors.push(requiredValue(`spec.${name}.path`))
    else if (spec[name].path.split('/').includes('..'))
      errors.push(forbidden(`spec.${name}.path`, "must not contain '..'"))
  }
  for (const name of given.slice(1)) errors.push(forbidden(`spec.${name}`, 'may not specify more than 1 volume type'))
  if (spec.local && !spec.nodeAffinity?.required)
    errors.push(requiredValue('spec.nodeAffinity', 'Local volume requires node affinity'))
  if (!old) return errors
  if (!equalJson(sourceOf(spec), sourceOf(old.spec)))
    errors.push(forbidden('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation'))
  return [...errors, ...immutable('spec.volumeMode', spec.volumeMode, old.spec?.volumeMode)]
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
