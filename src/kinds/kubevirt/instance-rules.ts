// Rules for the spec of a VirtualMachineInstance, in its own manifest or in a VirtualMachine's template
// (pkg/virt-api/webhooks/validating-webhook/admitters/vmi-create-admitter.go, KubeVirt 1.7).

import type { FieldError } from '../../api/errors.ts'
import { dnsLabelProblems } from '../../api/names.ts'
import { compareQuantities, parseQuantity, type Quantity, tryParseQuantity } from '../../api/quantity.ts'
import { forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { validateCredentials } from './credential-rules.ts'
import { validateDisks } from './disk-rules.ts'
import { validateFirmware } from './firmware-rules.ts'
import { memoryChangeProblem, validateHotDisks } from './live-changes.ts'
import { validateNetwork } from './network-rules.ts'
import { validateProcessors } from './processor-rules.ts'
import { validateSupported } from './supported.ts'
import { validateVmVolumes } from './volume-rules.ts'

const videoTypes = ['vga', 'virtio', 'bochs', 'cirrus']
const machineType = /^(pc|q35|pc-q35-\d+\.\d+|pc-i440fx-\d+\.\d+)$/

/** An instance itself: templates may leave to presets what these rules ask for. */
export const validateInstance = (spec: any, field: string): FieldError[] => [
  ...validateInstanceSpec(spec, field),
  ...validateMandatory(spec?.domain, `${field}.domain`),
]

export function validateInstanceSpec(spec: any, field: string): FieldError[] {
  if (!spec || typeof spec !== 'object') return []
  if (!spec.domain) return [requiredValue(`${field}.domain`)]
  return [
    ...validateSupported(spec, field),
    ...validateNames(spec, field),
    ...validateVmVolumes(spec.volumes ?? [], `${field}.volumes`),
    ...validateCredentials(spec, `${field}.accessCredentials`),
    ...validateDisks(spec, field),
    ...validateHotDisks(spec, field),
    ...validateNetwork(spec, field),
    ...validateMemory(spec.domain, `${field}.domain`),
    ...validateCpu(spec.domain, `${field}.domain`),
    ...validateMachine(spec, field),
    ...validateFirmware(spec, field),
    ...validateProcessors(spec, field),
  ]
}

function validateNames(spec: any, field: string): FieldError[] {
  const errors: FieldError[] = []
  for (const name of ['hostname', 'subdomain']) {
    if (spec[name])
      errors.push(...dnsLabelProblems(spec[name]).map((text) => invalidValue(`${field}.${name}`, spec[name], text)))
  }
  if (spec.terminationGracePeriodSeconds < 0)
    errors.push(
      invalidValue(
        `${field}.terminationGracePeriodSeconds`,
        spec.terminationGracePeriodSeconds,
        'must be greater than or equal to 0',
      ),
    )
  if (spec.startStrategy && spec.startStrategy !== 'Paused')
    errors.push(notSupported(`${field}.startStrategy`, spec.startStrategy, ['Paused']))
  return errors
}

const quantity = (value: unknown): Quantity | undefined =>
  value === undefined ? undefined : tryParseQuantity(String(value))

/** Less than this no firmware starts with. */
const leastMemory = parseQuantity('4Mi')

/** Text: ValidateVirtualMachineInstanceMandatoryFields (KubeVirt 1.9). */
function validateMandatory(domain: any, field: string): FieldError[] {
  if (!domain) return []
  const { requests, limits } = domain.resources ?? {}
  if ([domain.memory?.guest, requests?.memory, limits?.memory].some((amount) => amount !== undefined)) return []
  const places = ['memory.guest', 'memory.hugepages.pageSize', 'resources.requests.memory']
  const [guest, pages, asked] = places.map((place) => `'${field}.${place}'`)
  const text = `no memory requested, at least one of ${guest}, ${pages} or ${asked} must be set`
  return [requiredValue(`${field}.memory.guest`, text)]
}

function validateMemory(domain: any, field: string): FieldError[] {
  const guest = quantity(domain.memory?.guest)
  const request = quantity(domain.resources?.requests?.memory)
  const limit = quantity(domain.resources?.limits?.memory)
  const most = quantity(domain.memory?.maxGuest)
  const shown = (value: unknown) => String(value)
  const errors: FieldError[] = []
  if (most && domain.memory.hugepages)
    errors.push(forbidden(`${field}.memory.maxGuest`, 'a guest in huge pages does not grow while it runs'))
  const problem = guest && most && memoryChangeProblem(guest, most)
  if (problem) errors.push(invalidValue(`${field}.memory.guest`, shown(domain.memory.guest), problem))
  if (guest && compareQuantities(guest, leastMemory) < 0)
    errors.push(invalidValue(`${field}.memory.guest`, shown(domain.memory.guest), 'must be at least 4Mi'))
  if (request && request.nanos < 0n)
    errors.push(
      invalidValue(
        `${field}.resources.requests.memory`,
        shown(domain.resources.requests.memory),
        'must be greater than or equal to 0.',
      ),
    )
  if (guest && limit && compareQuantities(limit, guest) < 0)
    errors.push(
      invalidValue(
        `${field}.memory.guest`,
        shown(domain.memory.guest),
        `must be equal to or less than the memory limit ${domain.resources.limits.memory}`,
      ),
    )
  if (request && limit && compareQuantities(limit, request) < 0)
    errors.push(
      invalidValue(
        `${field}.resources.requests.memory`,
        shown(domain.resources.requests.memory),
        `must not be greater than ${field}.resources.limits.memory '${domain.resources.limits.memory}'`,
      ),
    )
  return errors
}

function validateCpu({ cpu = {}, resources = {} }: any, field: string): FieldError[] {
  const errors: FieldError[] = []
  for (const name of ['cores', 'sockets', 'threads', 'maxSockets']) {
    if (typeof cpu[name] === 'number' && (cpu[name] < 0 || cpu[name] > 1024))
      errors.push(invalidValue(`${field}.cpu.${name}`, cpu[name], 'must be between 1 and 1024'))
  }
  if (cpu.maxSockets && cpu.sockets > cpu.maxSockets)
    errors.push(
      invalidValue(
        `${field}.cpu.sockets`,
        cpu.sockets,
        'Number of sockets in CPU topology is greater than the maximum sockets allowed',
      ),
    )
  const request = quantity(resources.requests?.cpu)
  const limit = quantity(resources.limits?.cpu)
  if (request && limit && compareQuantities(limit, request) < 0)
    errors.push(
      invalidValue(
        `${field}.resources.requests.cpu`,
        String(resources.requests.cpu),
        `must not be greater than ${field}.resources.limits.cpu '${resources.limits.cpu}'`,
      ),
    )
  return errors
}

function validateMachine({ architecture, domain }: any, field: string): FieldError[] {
  const errors: FieldError[] = []
  if (architecture && architecture !== 'amd64')
    errors.push(notSupported(`${field}.architecture`, architecture, ['amd64']))
  const type = domain.machine?.type
  if (type && !machineType.test(type))
    errors.push(
      invalidValue(
        `${field}.domain.machine.type`,
        type,
        `machine type is not supported: use q35, pc, or a version of them such as pc-q35-7.2`,
      ),
    )
  const video = domain.devices?.video?.type
  if (video && !videoTypes.includes(video))
    errors.push(notSupported(`${field}.domain.devices.video.type`, video, videoTypes))
  if (domain.devices?.video && domain.devices.autoattachGraphicsDevice === false)
    errors.push(
      forbidden(`${field}.domain.devices.video`, 'video type can only be set when there is a graphics device'),
    )
  const { bios, efi } = domain.firmware?.bootloader ?? {}
  if (bios && efi) errors.push(forbidden(`${field}.domain.firmware.bootloader`, 'cannot have both BIOS and EFI'))
  // Without it set, KubeVirt turns secure boot on, which needs SMM; a feature that is named is on.
  const { smm } = domain.features ?? {}
  if (efi && efi.secureBoot !== false && (!smm || smm.enabled === false))
    errors.push(
      invalidValue(
        `${field}.domain.firmware.bootloader.efi.secureBoot`,
        efi.secureBoot ?? true,
        `${field}.domain.firmware.bootloader.efi.secureBoot requires ${field}.domain.features.smm to be enabled`,
      ),
    )
  return errors
}
