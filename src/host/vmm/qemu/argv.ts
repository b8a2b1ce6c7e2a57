// QEMU's argument list for a micro-VM (pure). Its sockets are in its working directory.

import type { Guest, GuestCard, GuestDisk, GuestFolder, VmmStart } from '../driver.ts'
import { kernelArguments } from '../kernel-arguments.ts'

export const monitorSocket = 'qmp.sock'
export const consoleName = 'console'

/** Blocks of translated code: QEMU's own default would be an eighth of this machine's memory for each. */
const translationMiB = 64

/** A comma would begin the next option. */
const value = (text: string): string => text.replaceAll(',', ',,')

const card = ({ name, tap, mac }: GuestCard): string[] => [
  ...['-netdev', `tap,id=${name},ifname=${value(tap)},script=no,downscript=no,vhost=off`],
  ...['-device', `virtio-net-pci,netdev=${name},mac=${mac},romfile=`],
]

const disk = ({ path, readOnly }: GuestDisk, index: number): string[] => {
  const file = { driver: 'file', filename: path }
  const node = { driver: 'raw', 'node-name': `disk${index}`, 'read-only': readOnly, file }
  return ['-blockdev', JSON.stringify(node), '-device', `virtio-blk-pci,drive=disk${index}`]
}

const folder = ({ tag, socket }: GuestFolder): string[] => [
  ...['-chardev', `socket,id=files,path=${value(socket)}`],
  ...['-device', `vhost-user-fs-pci,chardev=files,tag=${value(tag)}`],
]

/** @param monitor where its socket is: by default in its working directory */
export function qemuArgv(guest: Guest, { program, accelerator, waits }: VmmStart, monitor = monitorSocket): string[] {
  const { memoryBytes, cpus, kernel, initrd } = guest
  const size = Math.ceil(memoryBytes / 2 ** 20)
  const kvm = accelerator === 'kvm'
  return [
    ...[program, '-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-machine', 'pc,memory-backend=ram,usb=off,vmport=off', '-no-reboot'],
    ...['-accel', kvm ? 'kvm' : `tcg,thread=multi,tb-size=${translationMiB}`, '-cpu', kvm ? 'host' : 'max'],
    ...['-m', `${size}`, '-smp', `${cpus}`],
    // Shared: who serves files reads and writes there for the guest.
    ...['-object', `memory-backend-memfd,id=ram,size=${size}M,share=on`],
    ...['-kernel', kernel, '-initrd', initrd, '-append', kernelArguments(accelerator)],
    // What the guest says last is kept in memory: it cannot fill a disk with it.
    ...['-chardev', `ringbuf,id=${consoleName},size=65536`, '-serial', `chardev:${consoleName}`],
    ...['-device', 'virtio-rng-pci'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...['-qmp', `unix:${monitor},server=on,wait=off`],
    ...guest.cards.flatMap(card),
    ...guest.disks.flatMap(disk),
    ...(guest.folder ? folder(guest.folder) : []),
    ...(waits ? ['-incoming', 'defer'] : []),
  ]
}
