// VirtualMachinePreference and VirtualMachineClusterPreference: how machines of one operating system like their hardware.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { invalidValue } from '../../api/walk/rules.ts'
import { schemaOf, types } from '../types.ts'
import { instancetypeGroup } from './matcher.ts'

const topologies = ['preferCores', 'preferSockets', 'preferThreads', 'preferSpread', 'preferAny']
const newTopologies = ['cores', 'sockets', 'threads', 'spread', 'any']
const spreads = ['SocketsCoresThreads', 'SocketsCores', 'CoresThreads']

/** Texts: pkg/instancetype/preference/webhooks (1.9). */
function validate({ spec }: ApiObject): FieldError[] {
  const { preferredCPUTopology: topology, spreadOptions = {} } = spec?.cpu ?? {}
  const errors: FieldError[] = []
  if (topology && ![...topologies, ...newTopologies].includes(topology))
    errors.push(invalidValue('spec.cpu.preferredCPUTopology', topology, `unknown preferredCPUTopology ${topology}`))
  const { across, ratio } = spreadOptions
  if (across && !spreads.includes(across))
    errors.push(invalidValue('spec.cpu.spreadOptions.across', across, `across ${across} is not supported`))
  if (across === 'CoresThreads' && ratio && ratio !== 2)
    errors.push(
      invalidValue(
        'spec.cpu.spreadOptions.ratio',
        ratio,
        'only a ratio of 2 (1 core 2 threads) is allowed when spreading vCPUs over cores and threads',
      ),
    )
  return errors
}

const warnings = ({ spec }: ApiObject): string[] => {
  const topology = spec?.cpu?.preferredCPUTopology
  const index = topologies.indexOf(topology)
  const { preferredUseEfi: efi, preferredUseSecureBoot: secure } = spec?.firmware ?? {}
  return [
    ...(index >= 0
      ? [
          `PreferredCPUTopology ${topology} is deprecated for removal in a future release, please use ${newTopologies[index]} instead`,
        ]
      : []),
    ...(efi === undefined && secure === undefined
      ? []
      : [
          'PreferredUseEfi and PreferredUseSecureBoot are deprecated for removal in a future release, please use PreferredEfi instead',
        ]),
  ]
}

const example = (kind: string, metadata: ApiObject['metadata']): ApiObject => ({
  apiVersion: `${instancetypeGroup}/v1beta1`,
  kind,
  metadata,
  spec: { devices: { preferredDiskBus: 'virtio', preferredInterfaceModel: 'virtio', preferredRng: {} } },
})

export const virtualMachinePreference = defineKind({
  group: instancetypeGroup,
  version: 'v1beta1',
  kind: 'VirtualMachinePreference',
  plural: 'virtualmachinepreferences',
  singular: 'virtualmachinepreference',
  shortNames: ['vmpref', 'vmprefs', 'vmp', 'vmps'],
  categories: ['all'],
  scope: 'Namespaced',
  protobuf: false,
  schema: schemaOf('kubevirt.v1beta1.VirtualMachinePreference'),
  types,
  columns: [ageColumn],
  validate,
  warnings,
  example: example('VirtualMachinePreference', { name: 'linux', namespace: 'default' }),
})

export const virtualMachineClusterPreference = defineKind({
  group: instancetypeGroup,
  version: 'v1beta1',
  kind: 'VirtualMachineClusterPreference',
  plural: 'virtualmachineclusterpreferences',
  singular: 'virtualmachineclusterpreference',
  shortNames: ['vmcp', 'vmcps'],
  categories: ['all'],
  scope: 'Cluster',
  protobuf: false,
  schema: schemaOf('kubevirt.v1beta1.VirtualMachineClusterPreference'),
  types,
  columns: [ageColumn],
  validate,
  warnings,
  example: example('VirtualMachineClusterPreference', { name: 'linux' }),
})
