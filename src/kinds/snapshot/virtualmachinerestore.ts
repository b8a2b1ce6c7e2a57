// VirtualMachineRestore: a machine becomes what it was when a snapshot was taken, or a new machine is made of it
// (KubeVirt 1.9, pkg/storage/admitters/vmrestore.go).

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import { flag, moment } from './columns.ts'
import { validateMachineReference, validateUnchanged } from './virtualmachinesnapshot.ts'

const volumePolicies = ['InPlace', 'RandomizeNames', 'PrefixTargetName']
const ownershipPolicies = ['Vm', 'None']

function validate(object: ApiObject, old?: ApiObject): FieldError[] {
  if (old) return validateUnchanged(object, old)
  const { target, virtualMachineSnapshotName: name, patches, volumeRestoreOverrides } = object.spec ?? {}
  const { volumeRestorePolicy: volumes, volumeOwnershipPolicy: ownership } = object.spec ?? {}
  const errors = validateMachineReference(target, 'spec.target')
  if (!name) errors.push(requiredValue('spec.virtualMachineSnapshotName'))
  errors.push(...validatePatches(patches ?? []), ...validateOverrides(volumeRestoreOverrides ?? []))
  if (volumes !== undefined && !volumePolicies.includes(volumes))
    errors.push(invalidValue('spec.volumeRestorePolicy', volumes, `volume restore policy "${volumes}" doesn't exist`))
  if (ownership !== undefined && !ownershipPolicies.includes(ownership))
    errors.push(
      invalidValue('spec.volumeOwnershipPolicy', ownership, `volume ownership policy "${ownership}" doesn't exist`),
    )
  return errors
}

/** Patches may change the spec, labels and annotations of the machine that is made. */
function validatePatches(patches: string[]): FieldError[] {
  const errors: FieldError[] = []
  for (const patch of patches) {
    let path: unknown
    try {
      path = JSON.parse(patch).path
    } catch {
      errors.push(invalidValue('spec.patches', patch, `patch is not valid JSON (${patch})`))
      continue
    }
    if (typeof path !== 'string' || !/^\/(spec|metadata\/(labels|annotations))\//.test(path))
      errors.push(
        invalidValue('spec.patches', patch, `patching is valid only for elements under /spec/ only: "path": "${path}"`),
      )
  }
  return errors
}

function validateOverrides(overrides: any[]): FieldError[] {
  const errors: FieldError[] = []
  for (const [index, { volumeName, restoreName, annotations, labels }] of overrides.entries()) {
    const at = `spec.volumeRestoreOverrides[${index}]`
    if (!volumeName) errors.push(requiredValue(`${at}.volumeName`, 'must provide a volume name'))
    if (!restoreName && !annotations && !labels)
      errors.push(requiredValue(at, 'must provide at least one overriden field'))
  }
  return errors
}

export const virtualMachineRestore = defineKind({
  group: 'snapshot.kubevirt.io',
  version: 'v1beta1',
  kind: 'VirtualMachineRestore',
  plural: 'virtualmachinerestores',
  singular: 'virtualmachinerestore',
  shortNames: ['vmrestore', 'vmrestores'],
  categories: ['all'],
  scope: 'Namespaced',
  protobuf: false,
  schema: schemaOf('kubevirt.v1beta1.VirtualMachineRestore'),
  types,
  subresources: { status: true },
  columns: [
    text('TargetKind', ({ spec }) => spec?.target?.kind ?? ''),
    text('TargetName', ({ spec }) => spec?.target?.name ?? ''),
    flag('Complete', ({ status }) => status?.complete),
    moment('RestoreTime', ({ status }) => status?.restoreTime),
  ],
  prepareCreate: (object) => {
    delete object.status
  },
  validate,
  example: {
    apiVersion: 'snapshot.kubevirt.io/v1beta1',
    kind: 'VirtualMachineRestore',
    metadata: { name: 'back', namespace: 'default' },
    spec: {
      target: { apiGroup: 'kubevirt.io', kind: 'VirtualMachine', name: 'db' },
      virtualMachineSnapshotName: 'before-upgrade',
    },
  },
})
