// VirtualMachineInstancetype and VirtualMachineClusterInstancetype: processor and memory of machines under a name.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { tryParseQuantity } from '../../api/quantity.ts'
import { ageColumn } from '../../api/table.ts'
import { invalidValue } from '../../api/walk/rules.ts'
import { schemaOf, types } from '../types.ts'
import { instancetypeGroup } from './matcher.ts'

function validate({ spec }: ApiObject): FieldError[] {
  const errors: FieldError[] = []
  const { cpu, memory } = spec ?? {}
  if (cpu && !(cpu.guest > 0)) errors.push(invalidValue('spec.cpu.guest', cpu.guest, 'must be greater than 0'))
  const guest = memory?.guest === undefined ? undefined : tryParseQuantity(String(memory.guest))
  if (guest && guest.nanos <= 0n)
    errors.push(invalidValue('spec.memory.guest', String(memory.guest), 'must be greater than 0'))
  const percent = memory?.overcommitPercent
  if (percent !== undefined && (percent < 0 || percent > 100))
    errors.push(
      invalidValue('spec.memory.overcommitPercent', percent, 'should be in the range of 0 to 100, both inclusive'),
    )
  if (percent && memory.hugepages)
    errors.push(
      invalidValue(
        'spec.memory.overcommitPercent',
        percent,
        'overCommitPercent and hugepages should not be requested together.',
      ),
    )
  return errors
}

const example = (kind: string, metadata: ApiObject['metadata']): ApiObject => ({
  apiVersion: `${instancetypeGroup}/v1beta1`,
  kind,
  metadata,
  spec: { cpu: { guest: 1 }, memory: { guest: '2Gi' } },
})

export const virtualMachineInstancetype = defineKind({
  group: instancetypeGroup,
  version: 'v1beta1',
  kind: 'VirtualMachineInstancetype',
  plural: 'virtualmachineinstancetypes',
  singular: 'virtualmachineinstancetype',
  shortNames: ['vminstancetype', 'vminstancetypes', 'vmf', 'vmfs'],
  categories: ['all'],
  scope: 'Namespaced',
  protobuf: false,
  schema: schemaOf('kubevirt.v1beta1.VirtualMachineInstancetype'),
  types,
  columns: [ageColumn],
  validate,
  example: example('VirtualMachineInstancetype', { name: 'small', namespace: 'default' }),
})

export const virtualMachineClusterInstancetype = defineKind({
  group: instancetypeGroup,
  version: 'v1beta1',
  kind: 'VirtualMachineClusterInstancetype',
  plural: 'virtualmachineclusterinstancetypes',
  singular: 'virtualmachineclusterinstancetype',
  shortNames: ['vmclusterinstancetype', 'vmclusterinstancetypes', 'vmcf', 'vmcfs'],
  categories: ['all'],
  scope: 'Cluster',
  protobuf: false,
  schema: schemaOf('kubevirt.v1beta1.VirtualMachineClusterInstancetype'),
  types,
  columns: [ageColumn],
  validate,
  example: example('VirtualMachineClusterInstancetype', { name: 'u1.small' }),
})
