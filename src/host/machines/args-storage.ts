// The disks of a machine as QEMU options: a -blockdev that names format, file and backing file explicitly (nothing is
// ever probed), and the device that the guest sees.

import { ioThreads } from './args-iothreads.ts'
import { nodeOf } from './hotplug-plan.ts'
import { Inexpressible, type OptionValues, option } from './option.ts'
import { type DiskFile, isQ35, type MachinePlan, type PreparedDisk } from './plan.ts'
import { usbController } from './usb.ts'
import { busOf } from './vmi.ts'

/** How many disks one AHCI controller takes. */
const sataPorts = 6

export function storageArgs(plan: MachinePlan): string[] {
  const buses = plan.disks.map((prepared) => busOf(prepared.disk))
  const sata = buses.filter((bus) => bus === 'sata').length
  const args: string[] = []
  // q35 brings the first AHCI controller along; its bus is called "ide".
  for (let index = isQ35(plan) ? 1 : 0; index * sataPorts < sata; index++)
    args.push('-device', option('ich9-ahci', { id: `sata${index}` }))
  if (buses.includes('scsi')) args.push('-device', option('virtio-scsi-pci', { id: 'scsi' }))
  if (buses.includes('usb')) args.push(...usbController(plan.spec))
  const bootIndexes = bootOrder(plan)
  const threads = ioThreads(plan)
  args.push(...threads.args)
  let sataIndex = 0
  for (const [index, prepared] of plan.disks.entries()) {
    const node = `disk${index}`
    const port = buses[index] === 'sata' ? sataIndex++ : 0
    const disc = prepared.empty && plan.plugged?.find(({ plug }) => plug.name === prepared.disk.name)
    if (disc) {
      args.push('-blockdev', JSON.stringify(blockdev(nodeOf(disc.plug), disc.prepared)))
      const place = { port, bootindex: bootIndexes.get(prepared) }
      args.push('-device', diskDevice(plan, disc.prepared, node, place, nodeOf(disc.plug)))
      continue
    }
    if (!prepared.empty) args.push('-blockdev', JSON.stringify(blockdev(node, prepared)))
    const place = { port, bootindex: bootIndexes.get(prepared), iothread: threads.of(prepared) }
    args.push('-device', diskDevice(plan, prepared, node, place))
  }
  return args
}

/** spec bootOrder as it is; when nothing has one, the first disk is booted (KubeVirt's libvirt domain does the same). */
function bootOrder(plan: MachinePlan): Map<PreparedDisk, number> {
  const given = plan.disks.filter((prepared) => prepared.disk.bootOrder)
  const card = plan.cards.some(({ card }) => card.bootOrder)
  if (given.length || card) return new Map(given.map((prepared) => [prepared, prepared.disk.bootOrder!]))
  return plan.disks[0] ? new Map([[plan.disks[0], 1]]) : new Map()
}

/** The options of -blockdev and of blockdev-add. */
export function blockdev(node: string, prepared: PreparedDisk): object {
  const { disk, backing, readOnly, ephemeral, direct } = prepared
  if (disk.io === 'native' && !direct)
    throw new Inexpressible(`disk ${disk.name}: io native needs cache none and storage that can do it`)
  const cache = { direct, 'no-flush': ephemeral && !direct }
  const file = (from: DiskFile, more: object) => ({ driver: 'file', filename: from.file, ...more })
  return {
    driver: prepared.format,
    'node-name': node,
    'read-only': readOnly,
    discard: 'unmap',
    cache,
    file: file(prepared, { aio: disk.io === 'native' ? 'native' : 'threads', discard: 'unmap', cache }),
    ...(prepared.format === 'qcow2' && { backing: backing ? backingNode(backing, file(backing, {})) : null }),
  }
}

/** The end of the chain: whatever a header inside names is not opened. */
function backingNode(from: DiskFile, file: object): object {
  return { driver: from.format, 'read-only': true, file, ...(from.format === 'qcow2' && { backing: null }) }
}

const devices: Record<string, { disk: string; cdrom?: string }> = {
  virtio: { disk: 'virtio-blk-pci' },
  sata: { disk: 'ide-hd', cdrom: 'ide-cd' },
  scsi: { disk: 'scsi-hd', cdrom: 'scsi-cd' },
  usb: { disk: 'usb-storage' },
}

const errorPolicies: Record<string, { werror: string; rerror: string }> = {
  stop: { werror: 'stop', rerror: 'stop' },
  ignore: { werror: 'ignore', rerror: 'ignore' },
  report: { werror: 'report', rerror: 'report' },
  enospace: { werror: 'enospc', rerror: 'report' },
}

function diskDevice(
  plan: MachinePlan,
  prepared: PreparedDisk,
  node: string,
  { port, bootindex, iothread }: { port: number; bootindex?: number; iothread?: string },
  drive = node,
): string {
  const { disk } = prepared
  const bus = busOf(disk)
  const controller = isQ35(plan) && port < sataPorts ? 'ide' : `sata${Math.floor(port / sataPorts)}`
  const { driver, ...values } = deviceValues(prepared, node, {
    bus: bus === 'sata' ? `${controller}.${port % sataPorts}` : bus === 'usb' ? 'usb.0' : undefined,
    iothread,
    bootindex,
  })
  return option(driver, prepared.empty ? values : { ...values, drive })
}

/** What the guest sees, at its place: the options of -device and of device_add. */
export function deviceValues(
  prepared: PreparedDisk,
  node: string,
  place: { bus?: string; iothread?: string; bootindex?: number },
): OptionValues & { driver: string } {
  const { disk } = prepared
  const bus = busOf(disk)
  const device = devices[bus]?.[disk.cdrom ? 'cdrom' : 'disk']
  if (!device) throw new Inexpressible(`disk ${disk.name}: no ${disk.cdrom ? 'CD-ROM' : 'disk'} on bus ${bus}`)
  if (bus === 'sata' && prepared.readOnly && !disk.cdrom)
    throw new Inexpressible(`disk ${disk.name}: a read-only disk cannot be on bus sata; use virtio or a cdrom`)
  if (disk.dedicatedIOThread && bus !== 'virtio')
    throw new Inexpressible(`disk ${disk.name}: dedicatedIOThread needs bus virtio`)
  const policy = errorPolicies[disk.errorPolicy || 'stop']!
  return {
    driver: device,
    id: `${node}-device`,
    drive: prepared.empty ? undefined : node,
    bus: place.bus,
    iothread: place.iothread,
    serial: disk.serial,
    'share-rw': disk.shareable || undefined,
    bootindex: place.bootindex,
    // usb-storage and CD-ROM drives stop for nothing: there is nothing to lose.
    ...(bus !== 'usb' && !disk.cdrom && policy),
    'write-cache': bus === 'usb' || disk.cdrom || prepared.readOnly ? undefined : disk.cache !== 'writethrough',
    logical_block_size: disk.blockSize?.custom?.logical,
    physical_block_size: disk.blockSize?.custom?.physical,
  }
}
