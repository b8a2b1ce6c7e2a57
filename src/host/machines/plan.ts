// Everything that a machine is made of once its disks, network and firmware are prepared: the input of args.ts.

import type { NumaNode } from './args-memory.ts'
import type { HostDevice } from './host-devices.ts'
import type { EmptySlot } from './hotplug-card-plan.ts'
import type { PluggedDisk } from './hotplug-plan.ts'
import type { KernelBoot } from './kernel-boot.ts'
import type { Growth, Room } from './resize-plan.ts'
import type { Topology } from './resources.ts'
import type { Disk, Interface, VmiSpec } from './vmi.ts'

export type DiskFormat = 'raw' | 'qcow2'

export interface DiskFile {
  format: DiskFormat
  /** As QEMU opens it: a name in the machine's directory, or /proc/self/fd/N of a file handed over. */
  file: string
}

export interface PreparedDisk extends DiskFile {
  disk: Disk
  backing?: DiskFile
  readOnly: boolean
  /** O_DIRECT: the host's page cache is not used. */
  direct: boolean
  /** The disk does not outlive the machine, so that flushes of the guest need not reach the platter. */
  ephemeral: boolean
  /** A CD-ROM drive without a disc; nothing is opened. */
  empty?: boolean
}

/** A disk that was plugged into a guest that goes on in another QEMU. */
export interface PreparedPlug {
  plug: PluggedDisk
  prepared: PreparedDisk
}

export interface PreparedCard {
  card: Interface
  /** The device that QEMU opens, in the namespace that it is in. */
  tap: string
  mac: string
  mtu: number
  /** Its place among the cards that the guest is started with; absent: that in the list. */
  slot?: number
  /** It was plugged into a guest that goes on in another QEMU. */
  hot?: { id: number; port: string }
}

export interface Firmware {
  code: string
  /** The machine's own copy of the variables. */
  vars: string
  secure: boolean
}

export interface MachinePlan {
  /** Shown in QEMU's process title and VNC: "<namespace>/<name>". */
  title: string
  uuid: string
  spec: VmiSpec
  accelerator: 'kvm' | 'tcg'
  topology: Topology
  memoryBytes: number
  disks: PreparedDisk[]
  /** How far it may grow; absent: not at all. */
  room?: Room
  /** What came while it ran, when it goes on in another QEMU. */
  growth?: Growth
  plugged?: PreparedPlug[]
  /** The port of a SCSI controller that was plugged. */
  scsiPort?: string
  /** Network cards, in the order of the spec; then those that were plugged. */
  cards: PreparedCard[]
  /** Places of cards that were taken out while it ran, when it goes on in another QEMU. */
  emptied?: EmptySlot[]
  /** Absent: SeaBIOS. */
  firmware?: Firmware
  /** Booted instead of a disk. */
  kernel?: KernelBoot
  hostDevices?: HostDevice[]
  /** The guest's processors and memory lie on these nodes of the machine; absent: it is one piece. */
  numa?: NumaNode[]
  /** The file that the guest's memory is mapped from: shared, or each page copied when it is written. */
  memory?: { file: string; shared: boolean }
  /** It goes on from a saved state: QEMU waits for it. */
  resuming?: boolean
}

export const isQ35Type = (type: string | undefined): boolean => !type || type === 'q35' || type.startsWith('pc-q35')

export const isQ35 = (plan: MachinePlan): boolean => isQ35Type(plan.spec.domain.machine?.type)

/** Names in the machine's directory, which is QEMU's working directory. */
export const machineFiles = {
  qmp: 'qmp.sock',
  /** A second QMP, over which open files are given to QEMU. */
  handover: 'handover.sock',
  console: 'console.sock',
  vnc: 'vnc.sock',
  agent: 'agent.sock',
  serialLog: 'serial.log',
  qemuLog: 'qemu.log',
  nvram: 'nvram.fd',
  record: 'machine.json',
} as const
