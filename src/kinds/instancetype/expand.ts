// A VirtualMachine with its instance type and its preference written out: what its instance is made from, and what
// expand-spec answers. Texts: KubeVirt 1.9 (pkg/instancetype/preference/requirements).

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { compareQuantities, formatQuantity, tryParseQuantity } from '../../api/quantity.ts'
import { invalidValue } from '../../api/walk/rules.ts'
import { applyInstancetype, type Target } from './apply-instancetype.ts'
import { applyPreference } from './apply-preference.ts'

export interface Types {
  /** Their specs; undefined where the machine names none. */
  instancetype?: any
  preference?: any
}

const templateField = 'spec.template.spec'

/** The machine as it is without the two. Nothing of it is shared with what is given where it differs. */
export function expand<T extends ApiObject>(machine: T, types: Types): { machine: T; errors: FieldError[] } {
  const { template } = machine.spec
  const spec = structuredClone(template.spec)
  spec.domain ??= {}
  plainDisks(spec)
  const target: Target = { spec, annotations: { ...template.metadata?.annotations } }
  const { instancetype, preference } = types
  const errors = instancetype ? applyInstancetype(target, instancetype, preference, templateField) : []
  if (preference) {
    applyPreference(target, preference)
    if (!errors.length) errors.push(...unmet(spec, types))
  }
  const annotations = Object.keys(target.annotations).length ? { annotations: target.annotations } : {}
  const { instancetype: _, preference: __, ...rest } = machine.spec
  const expanded = { ...template, metadata: { ...template.metadata, ...annotations }, spec }
  return { machine: { ...machine, spec: { ...rest, template: expanded } }, errors }
}

/** A volume that no disk names gets one, so that preferences speak of it as well. */
function plainDisks(spec: any): void {
  spec.domain.devices ??= {}
  const { devices } = spec.domain
  const named = new Set((devices.disks ?? []).map((disk: any) => disk?.name))
  const filesystems = new Set((devices.filesystems ?? []).map((one: any) => one?.name))
  const missing = (spec.volumes ?? []).filter(({ name }: any) => name && !named.has(name) && !filesystems.has(name))
  if (missing.length)
    devices.disks = [...(devices.disks ?? []), ...missing.map(({ name }: any) => ({ name, disk: {} }))]
}

/** What the preference requires and the machine does not have. */
function unmet(spec: any, { instancetype, preference }: Types): FieldError[] {
  const { cpu, memory, architecture } = preference.requirements ?? {}
  const source = instancetype ? 'spec.instancetype' : `${templateField}.domain`
  const provider = instancetype ? 'instance type' : 'VirtualMachine'
  const errors: FieldError[] = []
  const { sockets = 0, cores = 0, threads = 0 } = spec.domain.cpu ?? {}
  const vcpus = (sockets || 1) * (cores || 1) * (threads || 1)
  if (cpu?.guest && !instancetype && !sockets && !cores && !threads)
    errors.push(
      invalidValue(
        `${source}.cpu`,
        0,
        `no CPU resources provided by VirtualMachine, preference requires ${cpu.guest} vCPU`,
      ),
    )
  else if (cpu?.guest && vcpus < cpu.guest) {
    const wish = String(preference.cpu?.preferredCPUTopology ?? 'sockets').replace(/^prefer/, '')
    const how = instancetype ? '' : ` provided as ${wish.toLowerCase()}`
    const text = `insufficient CPU resources of ${vcpus} vCPU provided by ${provider}, preference requires ${cpu.guest} vCPU${how}`
    errors.push(invalidValue(instancetype ? source : `${source}.cpu`, vcpus, text))
  }
  const guest = tryParseQuantity(String(spec.domain.memory?.guest ?? '0'))
  const wanted = memory?.guest === undefined ? undefined : tryParseQuantity(String(memory.guest))
  if (guest && wanted && compareQuantities(guest, wanted) < 0) {
    const text = `insufficient Memory resources of ${formatQuantity(guest)} provided by ${provider}, preference requires ${formatQuantity(wanted)}`
    errors.push(invalidValue(instancetype ? source : `${source}.memory`, formatQuantity(guest), text))
  }
  if (architecture && spec.architecture && spec.architecture !== architecture)
    errors.push(
      invalidValue(
        `${templateField}.architecture`,
        spec.architecture,
        `preference requires architecture ${architecture} but ${spec.architecture} is being requested`,
      ),
    )
  return errors
}
