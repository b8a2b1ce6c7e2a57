// The QEMU of one micro-VM as an argument list (pure). It runs in a root of its own: /vm is its folder, /parts the kernel.

import { kernelArguments } from '../vmm/kernel-arguments.ts'

export interface MachineShape {
  memoryBytes: number
  cpus: number
  /** Weight of the whole Pod among its neighbours. */
  cpuShares?: number
  podMac: string
  accelerator: 'kvm' | 'tcg'
}

/** Names of the interfaces in the Pod's network namespace. */
export const podTap = 'tap0'
export const controlTap = 'control0'
export const controlMac = '02:00:00:00:00:02'

/** Blocks of translated code: QEMU's own default would be an eighth of this machine's memory for each. */
const translationMiB = 64

const card = (id: string, tap: string, mac: string): string[] => [
  ...['-netdev', `tap,id=${id},ifname=${tap},script=no,downscript=no,vhost=off`],
  ...['-device', `virtio-net-pci,netdev=${id},mac=${mac},romfile=`],
]

export function machineArgv({ memoryBytes, cpus, podMac, accelerator }: MachineShape): string[] {
  const size = Math.ceil(memoryBytes / 2 ** 20)
  const kvm = accelerator === 'kvm'
  return [
    ...['/usr/bin/qemu-system-x86_64', '-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-machine', 'pc,memory-backend=ram,usb=off,vmport=off', '-no-reboot'],
    ...['-accel', kvm ? 'kvm' : `tcg,thread=multi,tb-size=${translationMiB}`, '-cpu', kvm ? 'host' : 'max'],
    ...['-m', `${size}`, '-smp', `${cpus}`],
    // Shared: the process that serves the files reads and writes there what the guest asks for.
    ...['-object', `memory-backend-memfd,id=ram,size=${size}M,share=on`],
    ...['-kernel', '/parts/vmlinuz', '-initrd', '/parts/initrd', '-append', kernelArguments(accelerator)],
    // What the kernel says last is kept in memory: a guest cannot fill a disk with it.
    ...['-chardev', 'ringbuf,id=console,size=65536', '-serial', 'chardev:console'],
    ...['-qmp', 'unix:/vm/qmp.sock,server=on,wait=off'],
    ...card('control', controlTap, controlMac),
    ...card('pod', podTap, podMac),
    ...['-chardev', 'socket,id=files,path=/vm/files.sock', '-device', 'vhost-user-fs-pci,chardev=files,tag=pod'],
    ...['-device', 'virtio-rng-pci'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
  ]
}
