// Which disks of a machine that runs are to be plugged and unplugged, and where each goes. Pure.

import { claimOfVolume, hotVolumes } from '../../kinds/kubevirt/live-changes.ts'
import { takesPlugs } from '../../kinds/kubevirt/live-networks.ts'
import { blockdev, deviceValues } from './args-storage.ts'
import type { EmptySlot, PluggedCard } from './hotplug-card-plan.ts'
import { Inexpressible, option } from './option.ts'
import { isQ35, isQ35Type, type MachinePlan, type PreparedDisk } from './plan.ts'
import { busOf, coldDisks, type Disk, diskTargets, nextTarget, type VmiSpec, type Volume } from './vmi.ts'
import { Waiting } from './waiting.ts'

/** A disk that was plugged into the guest, or a disc that was put into a drive, as it is written down. */
export interface PluggedDisk {
  name: string
  /** Tells its things in QEMU from others': node hot<id>, device hot<id>-device, file set <id>. Never used twice. */
  id: number
  claim: string
  /** Of volume and disk, as text to compare. */
  config: string
  disk: Disk
  /** The PCIe port that it is behind. */
  port?: string
  target: string
  capacityBytes: number
  readOnly: boolean
  /** status.volumeStatus.persistentVolumeClaimInfo */
  claimInfo: object
  /** Plugged | the guest sees it | it is being taken out. */
  state: 'coming' | 'ready' | 'leaving'
}

export interface Plugged {
  next: number
  /** The port of the SCSI controller, when that was plugged. */
  scsiPort?: string
  disks: PluggedDisk[]
  cards?: PluggedCard[]
  /** Cards that it was started with, and has no more. */
  emptied?: EmptySlot[]
}

export const nothingPlugged: Plugged = { next: 1, disks: [] }

/** The controller of disks on SCSI. */
export const scsiId = 'scsi'

const portCount = 8
const ports = Array.from({ length: portCount }, (_, index) => `hot${index}`)

/** Empty ports, all in one slot: a q35 guest takes new devices only behind a port. */
export function hotplugPortArgs(plan: MachinePlan): string[] {
  if (!isQ35(plan) || !takesPlugs(plan.spec)) return []
  return ports.flatMap((id, index) => [
    '-device',
    option('pcie-root-port', {
      id,
      bus: 'pcie.0',
      chassis: 64 + index,
      multifunction: index === 0 ? true : undefined,
      addr: `0x1e.0x${index}`,
    }),
  ])
}

export interface PlugStep {
  attach: { volume: Volume; disk: Disk; claim: string; config: string }[]
  detach: PluggedDisk[]
}

/** What is to be done so that what is plugged is what the spec says. */
export function plugStep(spec: VmiSpec, { disks }: Plugged): PlugStep {
  const wanted = [...hotVolumes(spec).values()].flatMap((volume) => {
    const disk = spec.domain.devices?.disks?.find((one) => one.name === volume.name)
    const claim = claimOfVolume(volume)
    return disk && claim ? [{ volume, disk, claim, config: JSON.stringify([volume, disk]) }] : []
  })
  return {
    attach: wanted.filter(({ config }) => !disks.some((one) => one.config === config && one.state === 'ready')),
    detach: disks.filter((one) => one.state !== 'ready' || !wanted.some(({ config }) => config === one.config)),
  }
}

/** A disk that was plugged into a guest that goes on elsewhere: it is what the spec of today says of it. */
export function pluggedAgain(spec: VmiSpec, plugged: PluggedDisk): PluggedDisk {
  const volume = hotVolumes(spec).get(plugged.name)
  const disk = spec.domain.devices?.disks?.find((one) => one.name === plugged.name)
  const claim = claimOfVolume(volume)
  if (!claim || !disk || plugged.state !== 'ready')
    throw new Waiting(
      'ResumeFailed',
      `volume ${plugged.name} was plugged into the guest and is not in spec.template: add it there again`,
    )
  return { ...plugged, claim, config: JSON.stringify([volume, disk]) }
}

export const isPlugDue = (spec: VmiSpec, plugged: Plugged = nothingPlugged): boolean => {
  const { attach, detach } = plugStep(spec, plugged)
  return attach.length > 0 || detach.length > 0
}

export const nodeOf = ({ id }: Pick<PluggedDisk, 'id'>): string => `hot${id}`

/** The drive that a disc goes into. */
export function driveOf(spec: VmiSpec, name: string): string {
  const index = coldDisks(spec).findIndex((disk) => disk.name === name)
  if (index < 0) throw new Inexpressible(`disk ${name}: the machine was started without this drive; restart it`)
  return `disk${index}-device`
}

export const hasScsi = (spec: VmiSpec): boolean => coldDisks(spec).some((disk) => busOf(disk) === 'scsi')

/** A place for a device on the PCI bus; memory has its own. @throws Inexpressible when every port is taken */
export function freePlace(spec: VmiSpec, plugged: Plugged, memoryPort?: string): string {
  if (!takesPlugs(spec)) throw new Inexpressible('the machine takes no plugs: disableHotplug is set, or ACPI is off')
  if (!isQ35Type(spec.domain.machine?.type)) return 'pci.0'
  const { scsiPort, disks, cards = [] } = plugged
  const taken = new Set([scsiPort, memoryPort, ...[...disks, ...cards].map(({ port }) => port)])
  const free = ports.find((port) => !taken.has(port))
  if (free) return free
  throw new Inexpressible(
    `all ${portCount} ports for devices are taken: use bus scsi, or remove a volume or an interface`,
  )
}

/** The name that the status gives a plugged disk: the first of its kind that is free. */
export function targetFor(spec: VmiSpec, plugged: Plugged, disk: Disk): string {
  const cold = diskTargets(coldDisks(spec))
  if (disk.cdrom) return cold.get(disk.name) ?? ''
  return nextTarget(disk, new Set([...cold.values(), ...plugged.disks.map(({ target }) => target)]))
}

/** The arguments of device_add. */
export const plugDevice = (plugged: PluggedDisk, prepared: PreparedDisk): object =>
  JSON.parse(JSON.stringify(plugValues(plugged, prepared), words))

function plugValues(plugged: PluggedDisk, prepared: PreparedDisk) {
  const { disk, port } = plugged
  const bus = busOf(disk) === 'scsi' ? 'scsi.0' : port
  return deviceValues(prepared, nodeOf(plugged), { bus, bootindex: disk.bootOrder })
}

/** What was plugged into the guest, for the QEMU in which it goes on. Discs are in their drives already. */
export function pluggedArgs({ scsiPort, plugged = [] }: MachinePlan): string[] {
  const controller = scsiPort ? ['-device', option('virtio-scsi-pci', { id: scsiId, bus: scsiPort })] : []
  const disks = plugged.flatMap(({ plug, prepared }) => {
    if (plug.disk.cdrom) return []
    const { driver, ...values } = plugValues(plug, prepared)
    return ['-blockdev', JSON.stringify(blockdev(nodeOf(plug), prepared)), '-device', option(driver, values)]
  })
  return [...controller, ...disks]
}

/** device_add takes its properties as the command line does: no true and false. */
const words = (_: string, value: unknown): unknown => (typeof value === 'boolean' ? (value ? 'on' : 'off') : value)
