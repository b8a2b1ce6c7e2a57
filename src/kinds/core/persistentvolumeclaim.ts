// PersistentVolumeClaim: storage that a Pod or VM asks for by size.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dnsSubdomainProblems } from '../../api/names.ts'
import { compareQuantities, tryParseQuantity } from '../../api/quantity.ts'
import { validateSelector } from '../../api/selector.ts'
import { ageColumn } from '../../api/table.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden, invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { text, unset } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import { isSnapshotReference } from '../volumesnapshot/references.ts'
import { accessModesText, storageClassText, validateAccessModes, validateStorageAmount } from './storage-rules.ts'

function validate(object: ApiObject, old?: ApiObject): FieldError[] {
  const { spec } = object
  if (!spec) return [requiredValue('spec')]
  const errors = [
    ...validateAccessModes(spec.accessModes, 'spec.accessModes'),
    ...validateStorageAmount(spec.resources?.requests?.storage, 'spec.resources[storage]'),
    ...validateSelector(spec.selector, 'spec.selector'),
  ]
  const { dataSource, dataSourceRef } = spec
  if (dataSource && dataSourceRef && !equalJson(dataSource, dataSourceRef))
    errors.push(invalidValue('spec', dataSource, 'must match dataSourceRef'))
  if (spec.storageClassName)
    for (const problem of dnsSubdomainProblems(spec.storageClassName))
      errors.push(invalidValue('spec.storageClassName', spec.storageClassName, problem))
  return old ? [...errors, ...validateUpdate(object, old)] : errors
}

/** A claim says twice what fills it, in the old field and in the new one (pkg/api/persistentvolumeclaim, 1.36). */
function completeDataSources(spec: any): any {
  if (!spec) return spec
  const isKnown = ({ kind, apiGroup }: any) =>
    (kind === 'PersistentVolumeClaim' && !apiGroup) || isSnapshotReference({ kind, apiGroup })
  if (spec.dataSource && !spec.dataSourceRef) spec.dataSourceRef = { ...spec.dataSource }
  else if (spec.dataSourceRef && !spec.dataSource && !spec.dataSourceRef.namespace && isKnown(spec.dataSourceRef))
    spec.dataSource = { ...spec.dataSourceRef }
  return spec
}

const updateText =
  'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims'

function validateUpdate(object: ApiObject, old: ApiObject): FieldError[] {
  const errors: FieldError[] = []
  if (!equalJson(fixedPart(object.spec, old.spec), fixedPart(old.spec, old.spec)))
    errors.push(forbidden('spec', updateText))
  const amount = (text: unknown) => tryParseQuantity(String(text))
  const [after, before] = [object, old].map(({ spec }) => amount(spec.resources?.requests?.storage))
  const size = amount(old.status?.capacity?.storage ?? '0')
  // Who asked for too much may ask for less again, but never for less than there is.
  if (after && before && size && compareQuantities(after, before) < 0 && compareQuantities(after, size) <= 0)
    errors.push(forbidden('spec.resources.requests.storage', 'field can not be less than status.capacity'))
  return errors
}

/** Binding names the volume once; the default class may come later; a bound claim may grow. */
function fixedPart(spec: any, old: any): unknown {
  const bound = Boolean(old.volumeName)
  return {
    // One that is older than the second field gets it now.
    ...completeDataSources({ ...spec }),
    volumeName: bound ? spec.volumeName : undefined,
    storageClassName: old.storageClassName === undefined ? undefined : spec.storageClassName,
    resources: bound ? undefined : spec.resources,
    volumeAttributesClassName: bound ? undefined : spec.volumeAttributesClassName,
  }
}

export const persistentVolumeClaim = defineKind({
  group: '',
  version: 'v1',
  kind: 'PersistentVolumeClaim',
  plural: 'persistentvolumeclaims',
  singular: 'persistentvolumeclaim',
  shortNames: ['pvc'],
  scope: 'Namespaced',
  schema: schemaOf('core.v1.PersistentVolumeClaim'),
  types,
  subresources: { status: true },
  hasGeneration: false,
  columns: [
    text('Status', ({ metadata, status }) => (metadata.deletionTimestamp ? 'Terminating' : (status?.phase ?? ''))),
    text('Volume', (object) => object.spec?.volumeName ?? ''),
    text('Capacity', ({ spec, status }) => (spec?.volumeName ? (status?.capacity?.storage ?? '0') : '')),
    text('Access Modes', ({ spec, status }) => (spec?.volumeName ? accessModesText(status?.accessModes) : '')),
    text('StorageClass', storageClassText),
    text('VolumeAttributesClass', (object) => object.spec?.volumeAttributesClassName ?? unset),
    ageColumn,
    text('VolumeMode', (object) => object.spec?.volumeMode ?? unset, 1),
  ],
  prepareCreate(object) {
    object.status = { phase: 'Pending' }
    completeDataSources(object.spec)
  },
  prepareUpdate({ spec }) {
    completeDataSources(spec)
  },
  validate,
  example: {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'db', namespace: 'default' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '5Gi' } } },
  },
})
