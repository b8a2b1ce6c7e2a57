// A machine that grows, and gives back, while it runs: processors by hotplug, memory by a virtio-mem device behind a port
// of its own. Written down before each step, as what is plugged is.

import { isThere, placeFor } from './hotplug.ts'
import { agentOf, type Machine } from './machine.ts'
import { type Qmp, QmpError } from './qmp.ts'
import { type StartedMachine, writeRecord } from './record.ts'
import {
  type Growth,
  memoryBackend,
  memoryDevice,
  memoryId,
  type ProcessorSlot,
  processorsToAdd,
  wantedSize,
} from './resize-plan.ts'
import type { VmiSpec } from './vmi.ts'

/** What QEMU could not do, in the words of the condition. */
export interface ResizeProblem {
  of: 'cpu' | 'memory'
  message: string
}

export const growthOf = ({ growth, topology }: StartedMachine): Growth =>
  growth ?? { sockets: topology.sockets, processors: [] }

/** Memory that the guest has beside what it started with. */
export const addedBytes = ({ growth }: StartedMachine): number =>
  Math.max(growth?.memory?.requested ?? 0, growth?.memory?.size ?? 0)

export function isResizeDue(spec: VmiSpec, started: StartedMachine | undefined): boolean {
  if (!started) return false
  return isCpuDue(spec, started) || isMemoryDue(spec, started)
}

const isCpuDue = (spec: VmiSpec, { topology, room }: StartedMachine): boolean => {
  if (!room || room.maxSockets <= topology.sockets) return false
  const { sockets } = wantedSize(spec)
  return sockets > topology.sockets && sockets <= room.maxSockets
}

const isMemoryDue = (spec: VmiSpec, { memoryBytes, growth, room }: StartedMachine): boolean => {
  if (!room || room.maxMemoryBytes <= memoryBytes) return false
  const wanted = wantedSize(spec).memoryBytes
  return (
    wanted >= memoryBytes && wanted <= room.maxMemoryBytes && wanted - memoryBytes !== (growth?.memory?.requested ?? 0)
  )
}

/** Conditions while something is under way, and when it failed. Names, reason and text: KubeVirt 1.9. */
export function resizeConditions(spec: VmiSpec, started: StartedMachine, problems: ResizeProblem[] = []) {
  const conditions: { type: string; status: 'True' | 'False'; reason?: string; message?: string }[] = []
  const { requested, size } = started.growth?.memory ?? { requested: 0, size: 0 }
  const of = (what: ResizeProblem['of']) => problems.find((one) => one.of === what)
  if (isCpuDue(spec, started)) conditions.push({ type: 'HotVCPUChange', status: 'True', message: of('cpu')?.message })
  if (of('memory'))
    conditions.push({
      type: 'HotMemoryChange',
      status: 'False',
      reason: 'Memory Hotplug Failed',
      message: `memory hotplug failed, the VM configuration is not supported: ${of('memory')!.message}`,
    })
  else if (isMemoryDue(spec, started) || requested !== size)
    conditions.push({ type: 'HotMemoryChange', status: 'True' })
  return conditions
}

function note(machine: Machine, change: (started: StartedMachine) => Partial<StartedMachine>): void {
  const { started } = machine.record
  if (!started) throw new Error('the machine does not run')
  machine.record = { ...machine.record, started: { ...started, ...change(started) } }
  writeRecord(machine.directory, machine.record)
}

/**
 * Does what is due. `limit` sets what the process may take anew, before it takes more.
 * @returns what QEMU refused
 */
export async function resize(machine: Machine, spec: VmiSpec, limit: () => void): Promise<ResizeProblem[]> {
  const problems: ResizeProblem[] = []
  const attempt = async (of: ResizeProblem['of'], step: () => Promise<void>) => {
    try {
      await step()
    } catch (error) {
      if (!(error instanceof QmpError)) throw error
      problems.push({ of, message: error.message })
    }
  }
  const started = machine.record.started!
  if (isCpuDue(spec, started)) await attempt('cpu', () => addProcessors(machine, wantedSize(spec).sockets, limit))
  if (isMemoryDue(spec, started))
    await attempt('memory', () => setMemory(machine, spec, wantedSize(spec).memoryBytes - started.memoryBytes, limit))
  return problems
}

const qmpOf = ({ qmp, record }: Machine): Qmp => {
  if (qmp) return qmp
  throw new Error(`the machine ${record.name} does not answer`)
}

async function addProcessors(machine: Machine, sockets: number, limit: () => void): Promise<void> {
  const qmp = qmpOf(machine)
  const slots = await qmp.execute<ProcessorSlot[]>('query-hotpluggable-cpus')
  for (const processor of processorsToAdd(slots, sockets)) {
    await qmp.execute('device_add', processor)
    note(machine, (started) => {
      const growth = growthOf(started)
      return { growth: { ...growth, processors: [...growth.processors, processor] } }
    })
  }
  note(machine, (started) => ({ growth: growthOf(started), topology: { ...started.topology, sockets } }))
  limit()
  await bringOnline(machine).catch(() => {})
}

/** Kernels leave a new processor idle until somebody in the guest says otherwise; an agent can. */
async function bringOnline(machine: Machine): Promise<void> {
  if (!machine.agentOpen) return
  const agent = await agentOf(machine)
  const processors = await agent.execute<any[]>('guest-get-vcpus')
  const idle = processors.filter((one) => one?.online === false).map((one) => ({ ...one, online: true }))
  if (idle.length) await agent.execute('guest-set-vcpus', { vcpus: idle })
}

async function setMemory(machine: Machine, spec: VmiSpec, requested: number, limit: () => void): Promise<void> {
  const qmp = qmpOf(machine)
  const { memory } = growthOf(machine.record.started!)
  const noteMemory = (wanted: number, port: string, room: number) =>
    note(machine, (started) => {
      const growth = growthOf(started)
      return { growth: { ...growth, memory: { size: 0, ...growth.memory, port, room, requested: wanted } } }
    })
  if (await isThere(qmp, memoryId)) {
    const { port, room, requested: before } = memory!
    noteMemory(requested, port, room)
    limit()
    await setRequested(qmp, requested).catch((error) => {
      noteMemory(before, port, room)
      throw error
    })
    return
  }
  const { room: most, memoryBytes } = machine.record.started!
  const room = (most?.maxMemoryBytes ?? memoryBytes) - memoryBytes
  const port = memory?.port ?? placeFor(machine, spec)
  noteMemory(requested, port, room)
  limit()
  const forget = () => note(machine, (started) => ({ growth: { ...growthOf(started), memory: undefined } }))
  try {
    const { id, ...backend } = memoryBackend(room)
    await qmp.execute('object-add', { id, ...backend }).catch((error) => {
      if (!/duplicate|already/.test((error as Error).message)) throw error
    })
    await qmp.execute('device_add', memoryDevice({ port, requested }))
  } catch (error) {
    forget()
    limit()
    throw error
  }
}

const setRequested = (qmp: Qmp, requested: number): Promise<unknown> =>
  qmp.execute('qom-set', { path: `/machine/peripheral/${memoryId}`, property: 'requested-size', value: requested })

/** Asks QEMU how much of it the guest uses. True when that has changed. */
export async function lookAtMemory(machine: Machine, limit: () => void): Promise<boolean> {
  const memory = machine.record.started?.growth?.memory
  if (!memory || !machine.qmp) return false
  const devices = await machine.qmp.execute<any[]>('query-memory-devices')
  const size = devices.find(({ data }) => data?.id === memoryId)?.data.size
  if (typeof size !== 'number' || size === memory.size) return false
  note(machine, (started) => ({ growth: { ...growthOf(started), memory: { ...memory, size } } }))
  limit()
  return true
}
