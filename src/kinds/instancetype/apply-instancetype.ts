// An instance type on the spec of an instance: it says how much processor and memory, and a machine that says so itself
// is refused (pkg/instancetype/apply, pkg/instancetype/conflict, KubeVirt 1.9).

import type { FieldError } from '../../api/errors.ts'
import { formatQuantity, parseQuantity, quantityOf, quantityValue } from '../../api/quantity.ts'
import { invalidValue } from '../../api/walk/rules.ts'

export interface Target {
  /** The spec of an instance: changed in place. */
  spec: any
  /** Of the instance's metadata: changed in place. */
  annotations: Record<string, string>
}

const conflict = (field: string, value: unknown): FieldError =>
  invalidValue(field, value as any, `VM field(s) ${field} conflicts with selected instance type`)

export function applyInstancetype(target: Target, type: any, preference: any, field: string): FieldError[] {
  const errors: FieldError[] = []
  const { spec } = target
  const { domain } = spec
  const taken = (path: string, value: unknown) => {
    if (value !== undefined && value !== null && value !== 0 && value !== '')
      errors.push(conflict(`${field}.${path}`, value))
  }
  for (const name of ['sockets', 'cores', 'threads']) taken(`domain.cpu.${name}`, domain.cpu?.[name])
  for (const kind of ['requests', 'limits'])
    for (const name of ['cpu', 'memory']) taken(`domain.resources.${kind}.${name}`, domain.resources?.[kind]?.[name])
  for (const name of ['guest', 'hugepages']) taken(`domain.memory.${name}`, domain.memory?.[name])
  for (const name of ['model', 'dedicatedCPUPlacement', 'isolateEmulatorThread', 'numa', 'realtime', 'maxSockets'])
    if (type.cpu?.[name] !== undefined) taken(`domain.cpu.${name}`, domain.cpu?.[name])
  if (type.memory?.maxGuest !== undefined) taken('domain.memory.maxGuest', domain.memory?.maxGuest)
  for (const name of ['ioThreadsPolicy', 'ioThreads', 'launchSecurity'])
    if (type[name] !== undefined) taken(`domain.${name}`, domain[name])
  for (const name of ['gpus', 'hostDevices'])
    if (type[name]?.length && domain.devices?.[name]?.length) taken(`domain.devices.${name}`, domain.devices[name])
  for (const name of ['nodeSelector', 'schedulerName']) if (type[name] !== undefined) taken(name, spec[name])
  for (const [name, value] of Object.entries(type.annotations ?? {})) {
    const own = target.annotations[name]
    if (own !== undefined && own !== value) errors.push(conflict(`annotations.${name}`, own))
  }
  if (errors.length) return errors
  const problems = applyCpu(spec, type.cpu ?? {}, preference, field)
  applyMemory(spec, type.memory ?? {})
  for (const name of ['ioThreadsPolicy', 'ioThreads', 'launchSecurity']) if (type[name]) domain[name] = type[name]
  for (const name of ['gpus', 'hostDevices'])
    if (type[name]?.length) domain.devices = { ...domain.devices, [name]: type[name] }
  for (const name of ['nodeSelector', 'schedulerName']) if (type[name]) spec[name] = type[name]
  Object.assign(target.annotations, type.annotations)
  return problems
}

function applyCpu(spec: any, cpu: any, preference: any, field: string): FieldError[] {
  const { guest, ...rest } = cpu
  const { topology, problem } = spreadOver(guest, preference)
  if (problem) return [invalidValue(`${field}.domain.cpu`, guest, problem)]
  spec.domain.cpu = { ...spec.domain.cpu, ...rest, ...topology }
  return []
}

const leastRatio = 2

/** So many processors as sockets, cores and threads, as the preference would have them. */
function spreadOver(
  guest: number,
  preference: any,
): { topology?: { sockets: number; cores: number; threads: number }; problem?: string } {
  const wish = String(preference?.cpu?.preferredCPUTopology ?? 'sockets')
    .replace(/^prefer/, '')
    .toLowerCase()
  const one = { sockets: 1, cores: 1, threads: 1 }
  if (wish !== 'spread')
    return { topology: { ...one, [wish === 'cores' || wish === 'threads' ? wish : 'sockets']: guest } }
  const { across = 'SocketsCores', ratio: given } = preference.cpu.spreadOptions ?? {}
  const ratio = given ?? (preference.preferSpreadSocketToCoreRatio || leastRatio)
  const step = across === 'SocketsCoresThreads' ? ratio * 2 : ratio
  if (guest % step !== 0)
    return {
      problem: `${guest} vCPUs provided by the instance type are not divisible by the Spec.PreferSpreadSocketToCoreRatio or Spec.CPU.PreferSpreadOptions.Ratio of ${ratio} provided by the preference`,
    }
  const count = guest / step
  if (across === 'CoresThreads') return { topology: { sockets: 1, cores: count, threads: ratio } }
  return { topology: { sockets: count, cores: ratio, threads: across === 'SocketsCoresThreads' ? 2 : 1 } }
}

function applyMemory(spec: any, memory: any): void {
  const { guest, overcommitPercent, ...rest } = memory
  spec.domain.memory = { ...spec.domain.memory, ...rest, guest }
  if (!overcommitPercent) return
  const bytes = quantityValue(parseQuantity(String(guest)))
  const asked = (bytes * BigInt(100 - overcommitPercent)) / 100n
  const { resources = {} } = spec.domain
  spec.domain.resources = {
    ...resources,
    requests: { ...resources.requests, memory: formatQuantity(quantityOf(asked, 'BinarySI')) },
  }
}
