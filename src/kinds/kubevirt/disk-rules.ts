// Rules for the disks of a VirtualMachineInstance (vmi-create-admitter.go, KubeVirt 1.7).

import type { FieldError } from '../../api/errors.ts'
import { dnsLabelProblems } from '../../api/names.ts'
import { invalidValue, notSupported } from '../../api/walk/rules.ts'
import { checkName } from '../rules/names.ts'

const buses = ['sata', 'scsi', 'usb', 'virtio']
const choices: Record<string, string[]> = {
  cache: ['none', 'writeback', 'writethrough'],
  io: ['default', 'native', 'threads'],
  errorPolicy: ['enospace', 'ignore', 'report', 'stop'],
}

export function validateDisks(spec: any, field: string): FieldError[] {
  const disks: any[] = spec.domain.devices?.disks ?? []
  const volumes = new Set((spec.volumes ?? []).map((volume: any) => volume?.name))
  const parent = `${field}.domain.devices.disks`
  const errors: FieldError[] = []
  const places = new Map<string, number>()
  for (const [index, disk] of disks.entries()) {
    const at = `${parent}[${index}]`
    errors.push(...checkName(`${at}.name`, disk?.name, dnsLabelProblems))
    if (!disk?.name) continue
    const other = places.get(disk.name)
    if (other !== undefined)
      errors.push(invalidValue(`${at}.name`, disk.name, `${at} and ${parent}[${other}] must not have the same Name.`))
    else places.set(disk.name, index)
    // A CD-ROM drive may wait for its disc.
    if (!volumes.has(disk.name) && !disk.cdrom)
      errors.push(invalidValue(`${at}.name`, disk.name, `${at}.Name '${disk.name}' not found.`))
    errors.push(...validateDisk(disk, at))
  }
  return [...errors, ...validateBootOrder(spec, field)]
}

function validateDisk(disk: any, at: string): FieldError[] {
  const errors: FieldError[] = []
  const kinds = ['disk', 'cdrom', 'lun'].filter((kind) => disk[kind])
  if (kinds.length > 1) errors.push(invalidValue(at, disk.name, `${at} can only have a single target type defined`))
  for (const kind of kinds) {
    const bus = disk[kind].bus
    if (bus && !buses.includes(bus)) errors.push(notSupported(`${at}.${kind}.bus`, bus, buses))
    if (bus === 'virtio' && kind === 'cdrom')
      errors.push(invalidValue(`${at}.cdrom.bus`, bus, 'Bus type virtio is invalid for CD-ROM device'))
  }
  if (disk.dedicatedIOThread && (disk.disk?.bus ?? 'sata') !== 'virtio')
    errors.push(notSupported(`${at}.dedicatedIOThread`, disk[kinds[0] ?? 'disk']?.bus ?? 'sata', ['virtio']))
  for (const [name, values] of Object.entries(choices)) {
    if (disk[name] && !values.includes(disk[name])) errors.push(notSupported(`${at}.${name}`, disk[name], values))
  }
  if (disk.serial && !/^[A-Za-z0-9_.+-]+$/.test(disk.serial))
    errors.push(
      invalidValue(
        `${at}.serial`,
        disk.serial,
        `${at}.serial must be made up of the following characters [A-Za-z0-9_.+-], if specified`,
      ),
    )
  if (disk.serial?.length > 256)
    errors.push(
      invalidValue(
        `${at}.serial`,
        disk.serial,
        `${at}.serial must be less than or equal to 256 in length, if specified`,
      ),
    )
  return errors
}

/** Disks and interfaces share one boot order: each place can be taken once. */
function validateBootOrder({ domain }: any, field: string): FieldError[] {
  const errors: FieldError[] = []
  const taken = new Map<number, string>()
  for (const kind of ['disks', 'interfaces']) {
    for (const [index, device] of (domain.devices?.[kind] ?? []).entries()) {
      const order = device?.bootOrder
      if (order === undefined) continue
      const at = `${field}.domain.devices.${kind}[${index}].bootOrder`
      if (order < 1) errors.push(invalidValue(at, order, `${at} must have a boot order > 0, if supplied`))
      const other = taken.get(order)
      if (other)
        errors.push(invalidValue(at, order, `Boot order for ${at} already set for a different device: ${other}.`))
      taken.set(order, at)
    }
  }
  return errors
}
