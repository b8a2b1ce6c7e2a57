// The QEMU of one micro-VM as an argument list (pure): one that boots, one that a template is saved of, and one that goes on
// as a copy of it. A Pod's runs in a root of its own: /vm is its folder, /parts the kernel.

import type { Guest, VmmStart } from '../vmm/driver.ts'
import { cardDevice, folderDevice, folderEnd, networkEnd, plugName, qemuArgv } from '../vmm/qemu/argv.ts'

export interface MachineShape {
  memoryBytes: number
  cpus: number
  /** Weight of the whole Pod among its neighbours. */
  cpuShares?: number
  podMac: string
  accelerator: 'kvm' | 'tcg'
}

export type Hardware = Pick<MachineShape, 'memoryBytes' | 'cpus' | 'accelerator'>

/** Names of the interfaces in the Pod's network namespace. */
export const podTap = 'tap0'
export const controlTap = 'control0'
export const controlMac = '02:00:00:00:00:02'

export const emulator = '/usr/bin/qemu-system-x86_64'
const monitor = '/vm/qmp.sock'
const inPod = { kernel: '/parts/vmlinuz', initrd: '/parts/initrd' }
const files = { tag: 'pod', socket: '/vm/files.sock' }

const cardsOf = (podMac: string) => [
  { name: 'control', tap: controlTap, mac: controlMac },
  { name: 'pod', tap: podTap, mac: podMac },
]

const start = ({ accelerator }: Hardware, more: Partial<VmmStart> = {}): VmmStart => ({
  program: emulator,
  accelerator,
  ...more,
})

/** What a template and its copies have in common with every micro-VM: all but what a Pod brings. */
const bare = ({ memoryBytes, cpus }: Hardware, { kernel, initrd }: typeof inPod): Guest => ({
  ...{ kernel, initrd, memoryBytes, cpus, disks: [], cards: [] },
})

export const machineArgv = (shape: MachineShape): string[] =>
  qemuArgv({ ...bare(shape, inPod), cards: cardsOf(shape.podMac), folder: files }, start(shape), { monitor })

/** The Pod's cards and its files. */
const plugs = 3
const opened = (file: number): string => `/proc/self/fd/${file}`
/** Open files of a copy, whose numbers its first program knows. */
const copyFiles = { memory: 20, devices: 21 }

/** Waits for a saved state, with nothing of the Pod but the ends of its network. */
const copyArgv = (shape: MachineShape): string[] => [
  ...qemuArgv(bare(shape, inPod), start(shape, { waits: true }), { monitor, memory: opened(copyFiles.memory), plugs }),
  ...cardsOf(shape.podMac).flatMap(networkEnd),
  '-S',
]

const command = (execute: string, args?: object): string =>
  JSON.stringify({ execute, ...(args && { arguments: args }) })

/** What is in the shared memory is neither written to the state nor expected in it. */
export const withoutMemory = { capabilities: [{ capability: 'x-ignore-shared', state: true }] }

/** Until the state is there, all can be undone. */
const loadCommands = [
  command('qmp_capabilities'),
  command('migrate-set-capabilities', withoutMemory),
  command('migrate-incoming', { uri: `fd:${copyFiles.devices}` }),
]

/** The machine becomes that of its Pod; what serves files cannot be in a state that is saved, so all of it comes now. */
function goOnCommands({ podMac }: Pick<MachineShape, 'podMac'>): string[] {
  const addr = { type: 'unix', data: { path: files.socket } }
  return [
    command('chardev-add', { id: folderEnd, backend: { type: 'socket', data: { addr, server: false } } }),
    ...[folderDevice(files), ...cardsOf(podMac).map(cardDevice)].map((one, index) =>
      command('device_add', { ...one, bus: plugName(index) }),
    ),
    command('cont'),
  ]
}

/** Longer than a copy takes on a busy machine, and shorter than it takes to boot there. */
const patienceSeconds = 60

/** From the template at /template, or from the beginning where that fails. */
export const goOnArgv = (shape: MachineShape): string[] => [
  ...['/usr/bin/perl', '/template/go-on.pl', '/template', `${patienceSeconds}`],
  ...[...loadCommands, '--', ...goOnCommands(shape), '--', ...copyArgv(shape), '--', ...machineArgv(shape)],
]

/** Numbers of the files that the one who saves hands over. */
export const templateFiles = { kernel: 3, initrd: 4, memory: 5 }

/** Boots up to the point where it waits for its Pod; all its files are handed to it open. */
export function templateArgv(hardware: Hardware): string[] {
  const [kernel, initrd, memory] = [templateFiles.kernel, templateFiles.initrd, templateFiles.memory].map(opened)
  return qemuArgv(bare(hardware, { kernel: kernel!, initrd: initrd! }), start(hardware), {
    memory: memory!,
    plugs,
  })
}

/** What the guest says then. */
export const waitingWords = 'microvm: waits for its Pod'
