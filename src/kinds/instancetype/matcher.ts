// How a VirtualMachine names its instance type and its preference (kubevirt.io/api/core/v1 InstancetypeMatcher, 1.9).

import type { ApiObject } from '../../api/meta.ts'

export const instancetypeGroup = 'instancetype.kubevirt.io'

export interface Matcher {
  name?: string
  kind?: string
  revisionName?: string
  inferFromVolume?: string
  inferFromVolumeFailurePolicy?: string
}

/** What the two fields of a VirtualMachine differ in. */
export interface MatcherField {
  field: 'instancetype' | 'preference'
  statusField: 'instancetypeRef' | 'preferenceRef'
  /** Kinds, the one of the whole machine first: it is meant when none is named. */
  kinds: readonly [cluster: string, namespaced: string]
  resources: readonly [cluster: string, namespaced: string]
  /** On an instance: what it was made with. */
  annotations: readonly [cluster: string, namespaced: string]
  /** On what a volume comes from: what to use for it. */
  label: string
}

export const matcherFields: readonly [MatcherField, MatcherField] = [
  {
    field: 'instancetype',
    statusField: 'instancetypeRef',
    kinds: ['VirtualMachineClusterInstancetype', 'VirtualMachineInstancetype'],
    resources: ['virtualmachineclusterinstancetypes', 'virtualmachineinstancetypes'],
    annotations: ['kubevirt.io/cluster-instancetype-name', 'kubevirt.io/instancetype-name'],
    label: 'instancetype.kubevirt.io/default-instancetype',
  },
  {
    field: 'preference',
    statusField: 'preferenceRef',
    kinds: ['VirtualMachineClusterPreference', 'VirtualMachinePreference'],
    resources: ['virtualmachineclusterpreferences', 'virtualmachinepreferences'],
    annotations: ['kubevirt.io/cluster-preference-name', 'kubevirt.io/preference-name'],
    label: 'instancetype.kubevirt.io/default-preference',
  },
]

export const matcherOf = (machine: ApiObject, { field }: MatcherField): Matcher | undefined => machine.spec?.[field]

export const hasMatcher = ({ spec }: ApiObject): boolean =>
  spec?.instancetype !== undefined || spec?.preference !== undefined

/** In any case, and in the plural: 'virtualmachineinstancetypes' is taken as well. undefined: there is no such kind. */
export function kindIndex({ kinds, resources }: MatcherField, kind: string | undefined): 0 | 1 | undefined {
  if (!kind) return 0
  const wanted = kind.toLowerCase()
  const index = [0, 1].find((at) => kinds[at]!.toLowerCase() === wanted || resources[at] === wanted)
  return index as 0 | 1 | undefined
}
