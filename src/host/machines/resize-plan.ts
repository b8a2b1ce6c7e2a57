// How a machine grows while it runs: the room that is kept for it at the start, and what is added to it later. Pure.
// virtio-mem and the hotplug of processors: QEMU 7.2 (docs/system, qapi/machine.json).

import { option } from './option.ts'
import type { Topology } from './resources.ts'
import { guestMemory, quantity, topologyOf, vcpus } from './resources.ts'
import type { Domain, VmiSpec } from './vmi.ts'

/** A processor as device_add and -device take it. */
export interface Processor {
  driver: string
  id: string
  [place: string]: string | number
}

/** Memory beside what the guest started with. */
export interface AddedMemory {
  port: string
  /** The most that it can be. */
  room: number
  /** What the guest is asked to use of it, and what it does use. */
  requested: number
  size: number
}

export interface Growth {
  /** Sockets at the start. */
  sockets: number
  processors: Processor[]
  memory?: AddedMemory
}

export interface Room {
  maxSockets: number
  maxMemoryBytes: number
}

/** More than this QEMU's machines do not take. */
const mostProcessors = 255

/** Processors or memory that have their places on the machine stay as they are; so does a guest that cannot be told. */
function isFixed({ cpu, memory, features }: Domain): boolean {
  const bound = cpu?.dedicatedCpuPlacement || cpu?.numa || cpu?.realtime || memory?.hugepages
  return features?.acpi?.enabled === false || Boolean(bound)
}

/** How far the machine may grow without a restart. */
export function roomOf(domain: Domain): Room {
  const topology = topologyOf(domain)
  const memoryBytes = guestMemory(domain)
  if (isFixed(domain)) return { maxSockets: topology.sockets, maxMemoryBytes: memoryBytes }
  const most = Math.floor(mostProcessors / (topology.cores * topology.threads))
  const { maxGuest } = domain.memory ?? {}
  return {
    maxSockets: Math.max(topology.sockets, Math.min(domain.cpu?.maxSockets ?? 0, most)),
    maxMemoryBytes: Math.max(memoryBytes, maxGuest === undefined ? 0 : quantity(maxGuest)),
  }
}

/** -smp: with room for more, the sockets are those that there may be. */
export function smpValues(topology: Topology, maxSockets = 0) {
  const { sockets, cores, threads } = topology
  const cpus = vcpus(topology)
  if (maxSockets <= sockets) return { cpus, sockets, cores, threads }
  return { cpus, maxcpus: maxSockets * cores * threads, sockets: maxSockets, cores, threads }
}

/** -m: with room for more, addresses for it are kept. */
export const memoryValues = (bytes: number, most = 0) => ({
  size: `${bytes / 1024}k`,
  maxmem: most > bytes ? `${most / 1024}k` : undefined,
})

/** query-hotpluggable-cpus */
export interface ProcessorSlot {
  type: string
  props: Record<string, number>
  'qom-path'?: string
}

/** The empty slots of the sockets up to that number, in order. */
export function processorsToAdd(slots: ProcessorSlot[], sockets: number): Processor[] {
  const order = ['socket-id', 'core-id', 'thread-id']
  const compare = (a: ProcessorSlot, b: ProcessorSlot): number => {
    for (const key of order) {
      const difference = (a.props[key] ?? 0) - (b.props[key] ?? 0)
      if (difference) return difference
    }
    return 0
  }
  return slots
    .filter((slot) => !slot['qom-path'] && (slot.props['socket-id'] ?? 0) < sockets)
    .sort(compare)
    .map(({ type, props }) => ({
      driver: type,
      id: `cpu-${order.map((key) => props[key] ?? 0).join('-')}`,
      ...props,
    }))
}

export const memoryId = 'more-memory'
const backendId = 'more-memory-ram'
/** The smallest part that a guest takes or gives back. */
const blockBytes = 2 * 1024 * 1024

export const memoryBackend = (room: number) => ({
  'qom-type': 'memory-backend-ram',
  id: backendId,
  size: room,
  // Nothing is taken from the machine before the guest uses it.
  reserve: false,
})

export const memoryDevice = ({ port, requested }: Pick<AddedMemory, 'port' | 'requested'>) => ({
  driver: 'virtio-mem-pci',
  id: memoryId,
  memdev: backendId,
  bus: port,
  'requested-size': requested,
  'block-size': blockBytes,
})

export interface Size {
  sockets: number
  memoryBytes: number
}

/** What the spec wants it to be. */
export const wantedSize = ({ domain }: VmiSpec): Size => ({
  sockets: topologyOf(domain).sockets,
  memoryBytes: guestMemory(domain),
})

/** What came while the guest ran, for the QEMU in which it goes on. */
export function growthArgs(growth: Growth | undefined): string[] {
  if (!growth) return []
  const args = growth.processors.flatMap(({ driver, ...values }) => ['-device', option(driver, values)])
  if (!growth.memory) return args
  const { 'qom-type': type, ...backend } = memoryBackend(growth.memory.room)
  const { driver, ...device } = memoryDevice(growth.memory)
  return [...args, '-object', option(type, backend), '-device', option(driver, device)]
}
