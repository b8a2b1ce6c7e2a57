// Processors of this machine that one guest has for itself (dedicatedCpuPlacement): which ones, on which NUMA nodes, and
// pinning QEMU's threads to them. The machine's first processor is never given away.

import { readdirSync, readFileSync } from 'node:fs'
import { run } from '../exec.ts'
import type { NumaNode } from './args-memory.ts'
import type { Machine } from './machine.ts'
import { type Topology, vcpus } from './resources.ts'
import type { VmiSpec } from './vmi.ts'
import { Waiting } from './waiting.ts'

export interface Placement {
  /** In the order of the guest's processors. */
  cpus: number[]
  /** Where QEMU's own threads are; absent: on those of the guest. */
  emulator?: number
  /** With NUMA: the guest's own nodes. */
  numa?: NumaNode[]
}

export interface MachineCpu {
  cpu: number
  node: number
}

/** Pure. `taken`: what others have. @throws Waiting while there are not enough. */
export function planPlacement(
  { domain }: VmiSpec,
  topology: Topology,
  cpus: MachineCpu[],
  taken: ReadonlySet<number>,
): Placement | undefined {
  const { dedicatedCpuPlacement, isolateEmulatorThread, numa } = domain.cpu ?? {}
  if (!dedicatedCpuPlacement) return undefined
  const free = cpus.slice(1).filter(({ cpu }) => !taken.has(cpu))
  const wanted = vcpus(topology) + (isolateEmulatorThread ? 1 : 0)
  if (free.length < wanted)
    throw new Waiting(
      'Unschedulable',
      `0/1 nodes are available: 1 Insufficient cpu. The guest wants ${wanted} processors for itself and ${free.length} of ${cpus.length} are free: one always stays for everybody`,
    )
  // Neighbours, so that a guest is on as few nodes as can be.
  const chosen = roomiestFirst(free).slice(0, wanted)
  const own = chosen.slice(0, vcpus(topology))
  return {
    cpus: own.map(({ cpu }) => cpu),
    ...(isolateEmulatorThread && { emulator: chosen.at(-1)!.cpu }),
    ...(numa?.guestMappingPassthrough && { numa: nodesOf(own) }),
  }
}

function roomiestFirst(free: MachineCpu[]): MachineCpu[] {
  const room = new Map<number, number>()
  for (const { node } of free) room.set(node, (room.get(node) ?? 0) + 1)
  return free.toSorted((a, b) => room.get(b.node)! - room.get(a.node)! || a.node - b.node || a.cpu - b.cpu)
}

function nodesOf(own: MachineCpu[]): NumaNode[] {
  const nodes = new Map<number, number[]>()
  own.forEach(({ node }, index) => {
    nodes.set(node, [...(nodes.get(node) ?? []), index])
  })
  return [...nodes].map(([hostNode, cpus]) => ({ hostNode, cpus }))
}

export function machineCpus(): MachineCpu[] {
  const folder = '/sys/devices/system/cpu'
  return numbersIn(readFileSync(`${folder}/online`, 'utf8')).map((cpu) => {
    const node = readdirSync(`${folder}/cpu${cpu}`).find((name) => /^node\d+$/.test(name))
    return { cpu, node: Number(node?.slice('node'.length) ?? 0) }
  })
}

/** The kernel's and KubeVirt's way to write a set: "0-3,^1". */
export function numbersIn(text: string): number[] {
  const numbers = new Set<number>()
  for (const part of text.trim().split(',').filter(Boolean)) {
    const [, not, first, last = first] = /^(\^?)(\d+)(?:-(\d+))?$/.exec(part) ?? []
    for (let number = Number(first); number <= Number(last); number++)
      if (not) numbers.delete(number)
      else numbers.add(number)
  }
  return [...numbers].sort((a, b) => a - b)
}

/** What all machines that have processors for themselves have. */
export const takenCpus = (machines: Iterable<Machine>): Set<number> =>
  new Set([...machines].flatMap(({ record: { started, result } }) => (result ? [] : placed(started?.placement))))

const placed = (placement: Placement | undefined): number[] =>
  placement ? [...placement.cpus, ...(placement.emulator === undefined ? [] : [placement.emulator])] : []

/** @throws Waiting where the machine does not let anything run in real time */
export async function requireRealtime({ domain }: VmiSpec): Promise<void> {
  if (!domain.cpu?.realtime) return
  const { code, stderr } = await run(['chrt', '--fifo', '1', 'true'], { allowFailure: true })
  if (code === 0) return
  throw new Waiting(
    'Unschedulable',
    `0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. This machine lets nothing run in real time: ${stderr.trim()}`,
  )
}

/** After the start: each of the guest's processors on its own, QEMU's other threads beside. */
export async function pin(machine: Machine, { domain }: VmiSpec, placement: Placement): Promise<void> {
  const { qmp, record } = machine
  if (!qmp || !record.process) return
  const { cpus, emulator } = placement
  const rest = emulator === undefined ? cpus.join(',') : String(emulator)
  await run(['taskset', '--all-tasks', '--cpu-list', '--pid', rest, String(record.process.pid)])
  const threads = await qmp.execute<{ 'cpu-index': number; 'thread-id': number }[]>('query-cpus-fast')
  const realtime = domain.cpu?.realtime
  const urgent = realtime?.mask ? numbersIn(realtime.mask) : undefined
  // A control group of the first version may have no time for it.
  const urge = (thread: number) =>
    run(['chrt', '--fifo', '--pid', '1', String(thread)]).catch((error) => {
      throw new Waiting('Unschedulable', `this machine lets no guest run in real time: ${(error as Error).message}`)
    })
  for (const { 'cpu-index': index, 'thread-id': thread } of threads) {
    await run(['taskset', '--cpu-list', '--pid', String(cpus[index] ?? cpus[0]), String(thread)])
    if (realtime && (urgent?.includes(index) ?? true)) await urge(thread)
  }
}

/** Machines without processors of their own keep off those of others; when none are taken, they are everywhere. */
export async function makeWay(machines: Iterable<Machine>): Promise<void> {
  const all = [...machines]
  const taken = takenCpus(all)
  const shared = machineCpus().flatMap(({ cpu }) => (taken.has(cpu) ? [] : [cpu]))
  const list = shared.join(',')
  for (const { record } of all)
    if (record.process && !record.result && !record.started?.placement)
      await run(['taskset', '--all-tasks', '--cpu-list', '--pid', list, String(record.process.pid)], {
        allowFailure: true,
      })
}
