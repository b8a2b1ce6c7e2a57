// What may change in a machine that runs: volumes that are marked hotpluggable, cards (live-networks.ts), more sockets,
// more or less memory. Pure; rules and texts of KubeVirt 1.9 (pkg/storage/hotplug, pkg/storage/admitters,
// pkg/virt-controller/watch/vm).

import type { FieldError } from '../../api/errors.ts'
import { compareQuantities, type Quantity, tryParseQuantity } from '../../api/quantity.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden, invalidValue } from '../../api/walk/rules.ts'
import { validateLiveCards } from './live-networks.ts'

/** Names of volumes that were added to the instance alone, with commas between: the machine's template does not have them. */
export const ephemeralVolumesAnnotation = 'tandem.dev/ephemeral-volumes'

export const isHotpluggable = (volume: any): boolean =>
  volume?.persistentVolumeClaim?.hotpluggable === true || volume?.dataVolume?.hotpluggable === true

/** The claim behind a volume that can be plugged; a DataVolume's claim has its name. */
export const claimOfVolume = (volume: any): string | undefined =>
  volume?.persistentVolumeClaim?.claimName ?? volume?.dataVolume?.name

export const ephemeralVolumesOf = (annotations: Record<string, string> | undefined): Set<string> =>
  new Set((annotations?.[ephemeralVolumesAnnotation] ?? '').split(',').filter(Boolean))

const list = (value: unknown): any[] => (Array.isArray(value) ? value : [])

const named = (items: unknown): Map<string, any> => new Map(list(items).map((item) => [item?.name, item]))

/** The volumes that come and go while the guest runs, by name. */
export const hotVolumes = (spec: any): Map<string, any> =>
  new Map(
    list(spec?.volumes)
      .filter(isHotpluggable)
      .map((volume) => [volume.name, volume]),
  )

/** Disks that are there from the start to the end: a CD-ROM drive stays when its disc goes. */
export function fixedDisks(spec: any): any[] {
  const hot = hotVolumes(spec)
  return list(spec?.domain?.devices?.disks).filter((disk) => disk?.cdrom || !hot.has(disk?.name))
}

/** The spec without all that may change while the guest runs: two machines whose fixed parts are equal need no restart. */
export function fixedPart(spec: any): any {
  if (!spec?.domain) return spec
  const { cpu, memory, resources, devices, ...domain } = spec.domain
  return {
    ...without(spec, ['nodeSelector', 'affinity', 'tolerations', 'networks']),
    volumes: list(spec.volumes).filter((volume) => !isHotpluggable(volume) && !volume?.memoryDump),
    domain: {
      ...domain,
      cpu: without(cpu, ['sockets']),
      memory: without(memory, ['guest']),
      resources,
      devices: { ...without(devices, ['interfaces']), disks: fixedDisks(spec) },
    },
  }
}

const without = (object: object | undefined, fields: string[]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(object ?? {}).filter(([name]) => !fields.includes(name)))

const restricted = 'update of VMI object is restricted'

/** Changes of an instance's spec: everything that cannot be changed in a running guest is refused. */
export function validateLiveChange(spec: any, old: any, field: string): FieldError[] {
  if (equalJson(spec, old)) return []
  const { resources: _, ...domain } = fixedPart(spec).domain ?? {}
  const { resources: __, ...oldDomain } = fixedPart(old).domain ?? {}
  if (!equalJson({ ...fixedPart(spec), domain }, { ...fixedPart(old), domain: oldDomain }))
    return [forbidden(field, restricted)]
  return [
    ...validateHotVolumes(spec, old, field),
    ...validateLiveCards(spec, old, field),
    ...validateSockets(spec, old, field),
    ...validateGuest(spec, old, field),
  ]
}

function validateHotVolumes(spec: any, old: any, field: string): FieldError[] {
  const disks = named(spec.domain?.devices?.disks)
  const before = hotVolumes(old)
  const oldDisks = named(old.domain?.devices?.disks)
  const errors: FieldError[] = []
  for (const [name, volume] of hotVolumes(spec)) {
    const known = before.get(name)
    const disk = disks.get(name)
    const say = (text: string) => errors.push(invalidValue(`${field}.volumes`, name, text))
    if (known && !equalJson(known, volume)) say(`hotplug volume ${name}, changed`)
    else if (!disk) say(known ? `volume ${name} doesn't have a matching disk` : `disk ${name} does not exist`)
    else if (known && !equalJson(disk, oldDisks.get(name))) say(`hotplug disk ${name}, changed`)
  }
  return errors
}

function validateSockets(spec: any, old: any, field: string): FieldError[] {
  const [now, before] = [spec.domain?.cpu?.sockets ?? 1, old.domain?.cpu?.sockets ?? 1]
  const most = old.domain?.cpu?.maxSockets ?? before
  const at = `${field}.domain.cpu.sockets`
  if (now < before) return [forbidden(at, 'Reduction of CPU socket count requires a restart')]
  return now > most
    ? [invalidValue(at, now, 'Number of sockets in CPU topology is greater than the maximum sockets allowed')]
    : []
}

function validateGuest(spec: any, old: any, field: string): FieldError[] {
  const [now, before, most] = [spec, old, { domain: { memory: { guest: old.domain?.memory?.maxGuest } } }].map((one) =>
    tryParseQuantity(String(one.domain?.memory?.guest ?? '')),
  )
  if (now && before && compareQuantities(now, before) === 0) return []
  if (!now || !most) return [forbidden(field, restricted)]
  const problem = memoryChangeProblem(now, most)
  return problem ? [invalidValue(`${field}.domain.memory.guest`, String(spec.domain.memory.guest), problem)] : []
}

/** The disk of a hotpluggable volume must be of a kind that can be plugged. */
export function validateHotDisks(spec: any, field: string): FieldError[] {
  const disks = list(spec.domain?.devices?.disks)
  const errors: FieldError[] = []
  for (const name of hotVolumes(spec).keys()) {
    const index = disks.findIndex((disk) => disk?.name === name)
    const disk = disks[index]
    const at = `${field}.domain.devices.disks[${index}]`
    const say = (text: string) => errors.push(invalidValue(at, name, `Hotplug configuration for ${text}`))
    if (!disk) say(`[${name}] requires the disk field to be set.`)
    else if (spec.domain.devices.disableHotplug)
      errors.push(forbidden(at, `${field}.domain.devices.disableHotplug is set: volume ${name} cannot be plugged`))
    else if (disk.dedicatedIOThread) say(`[${name}]: dedicatedIOThread is not supported for disks that are plugged.`)
    else if (disk.cdrom) continue
    else if (!['scsi', 'virtio'].includes(disk.disk?.bus ?? 'sata'))
      say(`disk [${name}] requires bus to be 'scsi' or 'virtio'. [${disk.disk?.bus ?? 'sata'}] is not permitted.`)
  }
  return errors
}

/** A guest grows and shrinks in blocks of this size (QEMU's virtio-mem). */
const memoryBlock = 2n * 1024n * 1024n * 1_000_000_000n
/** Of a smaller one, what is kept for growing would take too great a part. */
const leastGrowing = 1024n * 1024n * 1024n * 1_000_000_000n

/** Why a guest of this size cannot grow up to that one; undefined when it can. pkg/liveupdate/memory */
export function memoryChangeProblem(guest: Quantity, most: Quantity): string | undefined {
  if (compareQuantities(guest, most) > 0) return 'Guest memory is greater than the configured maxGuest memory'
  if (guest.nanos % memoryBlock) return 'Guest memory must be 2Mi aligned'
  if (most.nanos % memoryBlock) return 'MaxGuest must be 2Mi aligned'
  if (guest.nanos < leastGrowing) return 'Memory hotplug is only available for VMs with at least 1Gi of guest memory'
  return undefined
}
