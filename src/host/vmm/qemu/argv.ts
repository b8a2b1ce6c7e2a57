// QEMU's argument list for a micro-VM (pure). Its sockets are in its working directory.

import type { Guest, GuestCard, GuestDisk, GuestFolder, VmmStart } from '../driver.ts'
import { kernelArguments } from '../kernel-arguments.ts'

export const monitorSocket = 'qmp.sock'
export const consoleName = 'console'

/** Blocks of translated code: QEMU's own default would be an eighth of this machine's memory for each. */
const translationMiB = 64

/** A comma would begin the next option. */
const value = (text: string): string => text.replaceAll(',', ',,')

/** The end of a card on this side, to which the guest's is plugged. */
export const networkEnd = ({ name, tap }: Pick<GuestCard, 'name' | 'tap'>): string[] => [
  ...['-netdev', `tap,id=${name},ifname=${value(tap)},script=no,downscript=no,vhost=off`],
]

/** A device as QEMU's monitor is told of it (`device_add`). */
export type QemuDevice = { driver: string } & Record<string, string>

export const cardDevice = ({ name, mac }: Pick<GuestCard, 'name' | 'mac'>): QemuDevice => ({
  ...{ driver: 'virtio-net-pci', netdev: name, mac, romfile: '' },
})

export const folderDevice = ({ tag }: Pick<GuestFolder, 'tag'>): QemuDevice => ({
  ...{ driver: 'vhost-user-fs-pci', chardev: folderEnd, tag },
})

/** Where QEMU speaks to who serves the folder. */
export const folderEnd = 'files'

const device = ({ driver, ...properties }: QemuDevice): string[] => {
  const words = Object.entries(properties).map(([name, text]) => `${name}=${value(text)}`)
  return ['-device', [driver, ...words].join(',')]
}

export const plugName = (index: number): string => `plug${index}`

const plug = (index: number): string[] => [
  ...['-device', `pcie-root-port,id=${plugName(index)},chassis=${index + 1},slot=${index + 1}`],
]

const card = (one: GuestCard): string[] => [...networkEnd(one), ...device(cardDevice(one))]

const disk = ({ path, readOnly }: GuestDisk, index: number): string[] => {
  const file = { driver: 'file', filename: path }
  const node = { driver: 'raw', 'node-name': `disk${index}`, 'read-only': readOnly, file }
  return ['-blockdev', JSON.stringify(node), '-device', `virtio-blk-pci,drive=disk${index}`]
}

const folder = (one: GuestFolder): string[] => [
  ...['-chardev', `socket,id=${folderEnd},path=${value(one.socket)}`],
  ...device(folderDevice(one)),
]

export interface QemuPlaces {
  /** The socket where it is told the rest; by default one in its working directory. */
  monitor?: string
  /** How many devices can be plugged in while it runs, one to each `plugName`. */
  plugs?: number
  /** File of the guest's memory, shared with whoever has it open; by default one that has no name. */
  memory?: string
}

export function qemuArgv(guest: Guest, { program, accelerator, waits }: VmmStart, places: QemuPlaces = {}): string[] {
  const { monitor = monitorSocket, memory, plugs = 0 } = places
  const { memoryBytes, cpus, kernel, initrd } = guest
  const size = Math.ceil(memoryBytes / 2 ** 20)
  const kvm = accelerator === 'kvm'
  return [
    ...[program, '-nodefaults', '-no-user-config', '-display', 'none'],
    // q35: in a `pc` each device that is found costs 0.4 s when emulated, for its table of interrupts is computed each time.
    ...['-machine', 'q35,memory-backend=ram,usb=off,vmport=off,sata=off,smbus=off', '-no-reboot'],
    ...['-accel', kvm ? 'kvm' : `tcg,thread=multi,tb-size=${translationMiB}`, '-cpu', kvm ? 'host' : 'max'],
    ...['-m', `${size}`, '-smp', `${cpus}`],
    // Shared: who serves files reads and writes there for the guest.
    ...[
      '-object',
      `${memory ? `memory-backend-file,mem-path=${memory}` : 'memory-backend-memfd'},id=ram,size=${size}M,share=on`,
    ],
    ...['-kernel', kernel, '-initrd', initrd, '-append', kernelArguments(accelerator)],
    // What the guest says last is kept in memory: it cannot fill a disk with it.
    ...['-chardev', `ringbuf,id=${consoleName},size=65536`, '-serial', `chardev:${consoleName}`],
    ...['-device', 'virtio-rng-pci'],
    // What the guest frees is this machine's again.
    ...['-device', 'virtio-balloon-pci,free-page-reporting=on'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...['-qmp', `unix:${monitor},server=on,wait=off`],
    ...Array.from({ length: plugs }, (_, index) => plug(index)).flat(),
    ...guest.cards.flatMap(card),
    ...guest.disks.flatMap(disk),
    ...(guest.folder ? folder(guest.folder) : []),
    ...(waits ? ['-incoming', 'defer'] : []),
  ]
}
