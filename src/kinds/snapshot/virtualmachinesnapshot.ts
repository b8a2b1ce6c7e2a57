// VirtualMachineSnapshot: the disks of a machine, all of one moment (KubeVirt 1.9, pkg/storage/admitters).

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import { errorColumn, flag, moment } from './columns.ts'

/** A reference to a VirtualMachine. */
export function validateMachineReference(reference: any, field: string): FieldError[] {
  const { apiGroup, kind } = reference ?? {}
  if (apiGroup === undefined || apiGroup === null) return [requiredValue(`${field}.apiGroup`, 'missing apiGroup')]
  if (apiGroup !== 'kubevirt.io') return [invalidValue(`${field}.apiGroup`, apiGroup, 'invalid apiGroup')]
  return kind === 'VirtualMachine' ? [] : [invalidValue(`${field}.kind`, kind, 'invalid kind')]
}

export const validateUnchanged = ({ spec }: ApiObject, old: ApiObject): FieldError[] =>
  equalJson(spec, old.spec) ? [] : [invalidValue('spec', spec, 'spec in immutable after creation')]

function validate(object: ApiObject, old?: ApiObject): FieldError[] {
  if (old) return validateUnchanged(object, old)
  const { deletionPolicy, source } = object.spec ?? {}
  const errors = validateMachineReference(source, 'spec.source')
  if (deletionPolicy !== undefined && !['Delete', 'Retain'].includes(deletionPolicy))
    errors.push(notSupported('spec.deletionPolicy', deletionPolicy, ['Delete', 'Retain']))
  return errors
}

export const virtualMachineSnapshot = defineKind({
  group: 'snapshot.kubevirt.io',
  version: 'v1beta1',
  kind: 'VirtualMachineSnapshot',
  plural: 'virtualmachinesnapshots',
  singular: 'virtualmachinesnapshot',
  shortNames: ['vmsnapshot', 'vmsnapshots'],
  categories: ['all'],
  scope: 'Namespaced',
  protobuf: false,
  schema: schemaOf('kubevirt.v1beta1.VirtualMachineSnapshot'),
  types,
  subresources: { status: true },
  columns: [
    text('SourceKind', ({ spec }) => spec?.source?.kind ?? ''),
    text('SourceName', ({ spec }) => spec?.source?.name ?? ''),
    text('Phase', ({ status }) => status?.phase ?? ''),
    flag('ReadyToUse', ({ status }) => status?.readyToUse),
    moment('CreationTime', ({ status }) => status?.creationTime),
    errorColumn,
  ],
  prepareCreate: (object) => {
    delete object.status
  },
  validate,
  example: {
    apiVersion: 'snapshot.kubevirt.io/v1beta1',
    kind: 'VirtualMachineSnapshot',
    metadata: { name: 'before-upgrade', namespace: 'default' },
    spec: { source: { apiGroup: 'kubevirt.io', kind: 'VirtualMachine', name: 'db' } },
  },
})
