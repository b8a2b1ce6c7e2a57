// One machine of this driver, as it lives in memory: its record, its connections to QEMU, and what was last seen of it.

import { join } from 'node:path'
import type { Logger } from '../../base/log.ts'
import { type Agent, type GuestInfo, openAgent, readGuest } from './agent.ts'
import { type Console, openConsole } from './console.ts'
import type { Credentials } from './credentials.ts'
import type { PlugProblems } from './hotplug.ts'
import type { MemoryDump } from './memory-dump.ts'
import { machineFiles } from './plan.ts'
import { isAlive } from './process.ts'
import { openQmp, type Qmp, type QmpEvent } from './qmp.ts'
import { type MachineRecord, type MachineResult, writeRecord } from './record.ts'
import type { ResizeProblem } from './resize.ts'
import { withSocketPath } from './socket-path.ts'

/** QEMU's RunState, as query-status gives it. */
export type RunState = string

export interface Machine {
  readonly directory: string
  record: MachineRecord
  /** Absent while no QEMU is connected. */
  qmp?: Qmp
  console?: Promise<Console>
  agent?: Agent
  agentOpening?: Promise<Agent>
  guest?: GuestInfo
  /** What its guest gets through the agent; absent where that is nothing. */
  credentials?: Credentials
  agentOpen: boolean
  /** Its memory is being dumped into a claim, or was. */
  dump?: MemoryDump
  /** The guest was asked to turn itself off in order to start again. */
  rebooting?: boolean
  looking?: Promise<void>
  /** Tandem let go of it: a closed connection is no news. */
  detached: boolean
  runState?: RunState
  /** The start in progress, and how to give it up. */
  starting?: { abort: AbortController; phase: 'Scheduling' | 'Scheduled'; done: Promise<void> }
  problem?: { reason: string; message: string }
  failures: number
  retryAt: number
  /** The guest's memory is being written to disk; QEMU ends with it. */
  saving?: Promise<void>
  /** The guest moves to a second QEMU, or did so last; what its object tells of it. */
  migration?: Migration
  /** Hears the events of its QEMU too. */
  eavesdrop?: (event: QmpEvent) => void
  /** What is being plugged or resized, and when it is tried again. */
  adjusting?: Promise<void>
  adjustAt: number
  adjustFailures: number
  plugProblems?: PlugProblems
  cardProblems?: PlugProblems
  resizeProblems?: ResizeProblem[]
  /** The guest took memory, or gave some back, since it was last looked at. */
  memoryMoved?: boolean
  /** The end in progress: QEMU is being told to go and its traces removed. */
  ending?: Promise<void>
  reconnecting?: Promise<void>
  /** When the guest agent was last asked, in ms since 1970. */
  agentReadAt: number
  /** What the probes found; absent: nothing to probe. */
  probed?: { ready: boolean }
  /** When the power button was last pressed, and how often. */
  lastPowerdown: number
  powerdowns: number
}

export interface Migration {
  /** Of the VirtualMachineInstanceMigration. */
  uid: string
  abort: AbortController
  done: Promise<void>
  isOver: boolean
  /** Fields of status.migrationState. */
  told: Record<string, unknown>
}

export interface Observer {
  log: Logger
  /** Something changed that a sync should look at. */
  changed(uid: string): void
  /** The guest is off for good, or QEMU is gone. */
  ended(machine: Machine, result: MachineResult): void
}

export const newMachine = (directory: string, record: MachineRecord): Machine => ({
  directory,
  record,
  agentOpen: false,
  detached: false,
  failures: 0,
  retryAt: 0,
  lastPowerdown: 0,
  powerdowns: 0,
  agentReadAt: 0,
  adjustAt: 0,
  adjustFailures: 0,
})

export const isRunning = ({ record }: Machine): boolean =>
  record.process !== undefined && !record.result && isAlive(record.process)

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Connects to QMP as soon as it listens, and to the console. @throws Error when the process ends or time is up. */
export async function attach(machine: Machine, observer: Observer, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs
  const path = join(machine.directory, machineFiles.qmp)
  let own: Qmp | undefined
  // Another QEMU may have become the machine's meanwhile.
  const isCurrent = () => machine.qmp === own
  const handlers = {
    onEvent: (event: QmpEvent) => isCurrent() && onEvent(machine, observer, event),
    onClose: () => isCurrent() && onQmpClosed(machine, observer),
  }
  for (;;) {
    const left = deadline - Date.now()
    try {
      own = await withSocketPath(path, (short) => openQmp(short, handlers, Math.max(1_000, left)))
      machine.qmp = own
      break
    } catch (error) {
      if (!machine.record.process || !isAlive(machine.record.process)) throw new Error('QEMU ended', { cause: error })
      if (left <= 0) throw new Error(`QEMU does not answer: ${(error as Error).message}`, { cause: error })
      await pause(10)
    }
  }
  await refresh(machine, observer)
  // A guest agent that opened its port before we listened to events.
  const ports = await own.execute<{ label: string; 'frontend-open': boolean }[]>('query-chardev')
  agentPort(
    machine,
    observer,
    ports.some((port) => port.label === 'agent0' && port['frontend-open']),
  )
}

/** Another QEMU is the machine's now, whose sockets have the names of the former's. @throws Error when it is gone */
export async function takeUp(machine: Machine, observer: Observer, timeoutMs: number): Promise<void> {
  const former = machine.qmp
  machine.qmp = undefined
  former?.close()
  machine.agent?.close()
  machine.agent = undefined
  await attach(machine, observer, timeoutMs)
}

/** Run states that QEMU does not leave by itself (qapi/run-state.json, 7.2). */
const finalStates: Record<string, MachineResult> = {
  shutdown: { phase: 'Succeeded', reason: 'Shutdown', message: 'The VirtualMachineInstance was shut down.' },
  'guest-panicked': { phase: 'Failed', reason: 'GuestPanicked', message: 'The guest operating system panicked.' },
  'internal-error': { phase: 'Failed', reason: 'InternalError', message: 'QEMU met an internal error.' },
}

/** Asks QEMU how the guest is, and ends the machine when the guest has ended. */
export function refresh(machine: Machine, observer: Observer): Promise<void> {
  // One look at a time: several events tell of one change, and a look may change the guest's state itself.
  const look = (machine.looking ?? Promise.resolve()).then(() => lookAt(machine, observer))
  machine.looking = look.catch(() => {})
  return look
}

async function lookAt(machine: Machine, observer: Observer): Promise<void> {
  const { qmp } = machine
  if (!qmp || qmp.closed || machine.record.result) return
  const status = await qmp.execute<{ status: RunState }>('query-status').then(
    (answer) => answer.status,
    (error) => {
      // It ended, and we let go of it, while we asked.
      if (!machine.detached) throw error
    },
  )
  if (status === undefined || machine.detached) return
  const before = machine.runState
  machine.runState = status
  if (status === 'shutdown' && machine.rebooting) {
    machine.rebooting = false
    await qmp.execute('system_reset')
    await qmp.execute('cont')
    return
  }
  const final = finalStates[status]
  if (final) observer.ended(machine, final)
  else if (before !== status) observer.changed(machine.record.uid)
}

/** Paused condition, or undefined while the guest runs. */
export function pausedBy(machine: Machine): { reason: string; message: string } | undefined {
  if (machine.runState === 'paused' || machine.runState === 'prelaunch')
    return { reason: 'PausedByUser', message: 'VMI was paused by user' }
  if (machine.runState === 'io-error') return { reason: 'PausedIOError', message: 'VMI was paused, IO error' }
  return undefined
}

function onEvent(machine: Machine, observer: Observer, event: QmpEvent): void {
  machine.eavesdrop?.(event)
  if (event.event === 'VSERPORT_CHANGE' && event.data?.id === 'guest-agent')
    agentPort(machine, observer, event.data.open === true)
  else if (event.event === 'MEMORY_DEVICE_SIZE_CHANGE') {
    machine.memoryMoved = true
    observer.changed(machine.record.uid)
  } else if (['SHUTDOWN', 'STOP', 'RESUME', 'GUEST_PANICKED', 'RESET', 'WATCHDOG'].includes(event.event))
    refresh(machine, observer).catch((error) => observer.log.debug('cannot look at a machine', { error }))
}

function onQmpClosed(machine: Machine, observer: Observer): void {
  machine.qmp = undefined
  if (!machine.record.result) keepConnecting(machine, observer)
}

/** QMP closes when QEMU ends; it may also have closed on us because it talked nonsense, or not answer yet. */
export function keepConnecting(machine: Machine, observer: Observer): void {
  if (machine.detached) return
  machine.reconnecting ??= reconnect(machine, observer).finally(() => {
    machine.reconnecting = undefined
  })
}

async function reconnect(machine: Machine, observer: Observer): Promise<void> {
  await pause(50)
  for (let wait = 100; isRunning(machine) && !machine.detached; wait = Math.min(wait * 2, 10_000)) {
    try {
      await attach(machine, observer, 5_000)
      return
    } catch (error) {
      observer.log.warn('lost a machine’s QMP', { machine: machine.record.name, error })
      await pause(wait)
    }
  }
  // A start that failed has ended its QEMU itself, and is tried again.
  if (machine.starting || !machine.record.process) return
  if (!machine.record.result && !machine.detached) observer.ended(machine, vanished)
}

/** What was started is whole: a Tandem that comes after this one leaves it as it is. */
export function finish(machine: Machine): void {
  const { unfinished: _, ...record } = machine.record
  machine.record = record
  writeRecord(machine.directory, record)
}

export const vanished: MachineResult = {
  phase: 'Failed',
  reason: 'ProcessVanished',
  message: 'The VirtualMachineInstance crashed: its QEMU process is gone.',
}

function agentPort(machine: Machine, observer: Observer, open: boolean): void {
  if (machine.agentOpen === open) return
  machine.agentOpen = open
  if (!open) {
    machine.agent?.close()
    machine.agent = undefined
    machine.guest = undefined
    observer.changed(machine.record.uid)
  } else if (!machine.record.unfinished)
    // A copy is first told who it is; then it is looked at.
    readAgent(machine, observer).catch((error) => observer.log.debug('guest agent does not answer', { error }))
}

/** Looks at the guest through its agent; connects first if need be. @throws Error when no agent answers. */
export async function readAgent(machine: Machine, observer: Observer): Promise<void> {
  machine.agentReadAt = Date.now()
  const agent = await agentOf(machine)
  const guest = await readGuest(agent)
  const changed = JSON.stringify(guest) !== JSON.stringify(machine.guest)
  if (machine.agentOpen) machine.guest = guest
  if (changed) observer.changed(machine.record.uid)
}

/** @throws Error when no agent answers. */
export async function agentOf(machine: Machine): Promise<Agent> {
  if (!machine.agentOpen) throw new Error('VMI does not have guest agent connected')
  if (machine.agent && !machine.agent.closed) return machine.agent
  const path = join(machine.directory, machineFiles.agent)
  // QEMU serves one connection at a time: a second one would wait for an answer until it gives up.
  machine.agentOpening ??= withSocketPath(path, (short) => openAgent(short)).finally(() => {
    machine.agentOpening = undefined
  })
  machine.agent = await machine.agentOpening
  return machine.agent
}

/** The machine's console, connected when the first client asks for it. @throws Error when it has none. */
export function consoleOf(machine: Machine): Promise<Console> {
  machine.console ??= openConsole(join(machine.directory, machineFiles.console), () => {
    machine.console = undefined
  }).catch((error) => {
    machine.console = undefined
    throw error
  })
  return machine.console
}

/** Lets go of QEMU without stopping it. */
export function detach(machine: Machine): void {
  machine.detached = true
  machine.agent?.close()
  machine.console?.then((console) => console.close()).catch(() => {})
  machine.qmp?.close()
  machine.qmp = undefined
  machine.agent = undefined
  machine.console = undefined
}
