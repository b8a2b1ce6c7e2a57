// The QEMU of one micro-VM as an argument list (pure). It runs in a root of its own: /vm is its folder, /parts the kernel.

import { qemuArgv } from '../vmm/qemu/argv.ts'

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

export function machineArgv({ memoryBytes, cpus, podMac, accelerator }: MachineShape): string[] {
  const guest = {
    kernel: '/parts/vmlinuz',
    initrd: '/parts/initrd',
    memoryBytes,
    cpus,
    disks: [],
    cards: [
      { name: 'control', tap: controlTap, mac: controlMac },
      { name: 'pod', tap: podTap, mac: podMac },
    ],
    folder: { tag: 'pod', socket: '/vm/files.sock' },
  }
  return qemuArgv(guest, { program: '/usr/bin/qemu-system-x86_64', accelerator }, '/vm/qmp.sock')
}
