// The life of each machine: sync decides the next step; start, end and removal run beside it and ask for another sync.

import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fieldErrorBody } from '../../api/errors.ts'
import type { StoredObject } from '../../api/meta.ts'
import type { Logger } from '../../base/log.ts'
import { backoffDelay } from '../../base/retry.ts'
import { hibernateAnnotation, hibernatedReason } from '../../kinds/kubevirt/hibernation.ts'
import { isReceiver, shutdownAnnotation } from '../../kinds/kubevirt/instance-marks.ts'
import { validateInstanceSpec } from '../../kinds/kubevirt/instance-rules.ts'
import type { FoundWorkload, SyncResult } from '../workload.ts'
import type { Accelerator } from './accelerator.ts'
import { adjust, adjustIn } from './adjusting.ts'
import { outOfMemory, unconfine } from './cgroup.ts'
import { endCompanions } from './companion.ts'
import { isFrozen, thawWhenDue } from './freeze.ts'
import { hibernate } from './hibernate.ts'
import { detach, isRunning, type Machine, newMachine, type Observer, pausedBy, readAgent, vanished } from './machine.ts'
import type { MachinesOptions } from './machines.ts'
import { dumpMemory } from './memory-dump.ts'
import { createMigrations } from './migrations.ts'
import { Inexpressible } from './option.ts'
import { makeWay } from './placement.ts'
import { startProbes } from './probes.ts'
import { isAlive, killAndWait, processesBelow } from './process.ts'
import { type MachineResult, writeRecord } from './record.ts'
import type { SavedStates } from './saved-states.ts'
import type { Sources } from './sources.ts'
import { type StartRooms, startMachine } from './start.ts'
import { type Observed, type Phase, statusOf } from './status.ts'
import { stopStep } from './stop.ts'
import type { TemplateRooms } from './template-copy.ts'
import { userOf } from './user.ts'
import { specOf } from './vmi.ts'
import { Waiting } from './waiting.ts'

export interface LifecycleOptions extends Omit<MachinesOptions, 'emulator' | 'log' | 'now'> {
  log: Logger
  now: () => number
  machines: Map<string, Machine>
  observer: Observer
  sources: Sources
  saved: SavedStates
  templates: TemplateRooms
  emulator(): { program: string; version: string } | undefined
  /** Why there is no emulator. */
  missing(): string
  accelerator(): Promise<Accelerator>
}

export interface Lifecycle {
  sync(object: StoredObject): Promise<SyncResult>
  stopped(uid: string): boolean
  remove(workload: FoundWorkload): Promise<void>
  end(machine: Machine, result: MachineResult): void
  /** Lets go of every machine without stopping it. */
  close(): void
}

/** How often the guest agent is asked what changed inside. */
const agentPollMs = 30_000
const retryBackoff = { base: 1_000, max: 60_000, factor: 2 }

export function createLifecycle(options: LifecycleOptions): Lifecycle {
  const { machines, observer, log, now, paths, record: event } = options
  const directoryOf = (uid: string) => join(paths.machines, uid)
  /** The newest object of each machine, for events that come from below. */
  const objects = new Map<string, StoredObject>()
  /** How to stop the probes of each machine that runs. */
  const probes = new Map<string, () => void>()
  const migrations = createMigrations({ ...options, rooms: roomsOf })

  async function sync(object: StoredObject): Promise<SyncResult> {
    const { uid, deletionTimestamp } = object.metadata
    objects.set(uid, object)
    const machine = machines.get(uid)
    if (deletionTimestamp) return await syncDeleted(object, machine)
    if (!machine && isReceiver(object)) return waitForSync(object)
    if (!machine) return isFinal(object) ? {} : syncNew(object)
    if (object.metadata.annotations?.[shutdownAnnotation]) return await syncShutdown(object, machine)
    if (isRunning(machine) && !machine.starting) {
      watch(machine, object)
      migrations.look(machine, object)
      adjust({ ...options, record: event }, machine, object)
      dumpMemory(options, machine, object)
    }
    if (isRunning(machine) || machine.record.result) return report(object, machine)
    if (machine.record.process) {
      end(machine, vanished)
      return report(object, machine)
    }
    if (!machine.starting && now() >= machine.retryAt) begin(machine, object)
    return report(object, machine)
  }

  /** Nobody brings a guest here yet, but the instance says what it waits for. */
  function waitForSync(object: StoredObject): SyncResult {
    if (object.status?.phase === 'WaitingForSync') return {}
    return { status: statusOf(object, { phase: 'WaitingForSync' }, options.nodeName, now()) }
  }

  function syncNew(object: StoredObject): SyncResult {
    const { uid, namespace = '', name } = object.metadata
    const machine = newMachine(directoryOf(uid), { uid, namespace, name })
    machines.set(uid, machine)
    // It ran once, and nothing of it is left: it is not started a second time under the same uid.
    if (object.status?.phase === 'Running') machine.record.result = vanished
    else begin(machine, object)
    return report(object, machine)
  }

  function begin(machine: Machine, object: StoredObject): void {
    const problems = validateInstanceSpec(object.spec, 'spec')
    const emulator = options.emulator()
    if (problems.length)
      failed(
        machine,
        object,
        'Unsupported',
        problems.map((problem) => `${problem.field}: ${fieldErrorBody(problem)}`).join('; '),
      )
    else if (!emulator) failed(machine, object, 'QEMUNotReady', options.missing())
    else startWith(emulator, machine, object)
  }

  function roomsOf(machine: Machine): StartRooms | undefined {
    const emulator = options.emulator()
    return emulator && roomsFor(emulator, machine)
  }

  function roomsFor(emulator: { program: string; version: string }, machine: Machine): StartRooms {
    const { images, volumes, sources, network, instance, saved } = options
    const user = options.ownUsers === false ? undefined : userOf(machine, machines.values())
    const accelerator = options.accelerator()
    return {
      images,
      volumes,
      sources,
      network,
      instance,
      user,
      owner: user,
      log,
      emulator,
      saved,
      paths,
      accelerator,
      templates: options.templates,
      machines: () => machines.values(),
    }
  }

  function startWith(emulator: { program: string; version: string }, machine: Machine, object: StoredObject): void {
    const abort = new AbortController()
    const rooms = roomsFor(emulator, machine)
    machine.starting = { abort, phase: 'Scheduling', done: Promise.resolve() }
    machine.starting.done = startMachine(rooms, machine, object, observer)
      .then(
        () => {
          machine.problem = undefined
          machine.failures = 0
          event(object, 'Normal', 'Started', 'VirtualMachineInstance started.')
        },
        (error) => {
          if (!abort.signal.aborted) failed(machine, object, ...reasonOf(error))
        },
      )
      .finally(() => {
        machine.starting = undefined
        observer.changed(machine.record.uid)
      })
  }

  function failed(machine: Machine, object: StoredObject, reason: string, message: string): void {
    if (machine.problem?.message !== message || machine.problem.reason !== reason)
      event(object, 'Warning', reason === 'Unsupported' ? 'SyncFailed' : reason, message)
    machine.problem = { reason, message }
    machine.retryAt = now() + backoffDelay(machine.failures++, retryBackoff)
  }

  /** Starts the probes of a machine that runs; they end with it. */
  function watch(machine: Machine, object: StoredObject): void {
    if (probes.has(machine.record.uid)) return
    const stop = startProbes(machine, specOf(object), {
      log,
      changed: () => observer.changed(machine.record.uid),
      dead(message) {
        event(object, 'Warning', 'Unhealthy', message)
        end(machine, { phase: 'Failed', reason: 'LivenessProbeFailed', message })
      },
    })
    probes.set(machine.record.uid, stop)
  }

  function report(object: StoredObject, machine: Machine): SyncResult {
    const status = statusOf(object, observe(machine), options.nodeName, now())
    const same = JSON.stringify(sorted(status)) === JSON.stringify(sorted(object.status ?? {}))
    return { ...(!same && { status }), requeueAfter: sooner(nextLook(machine), adjustIn(machine, now())) }
  }

  function observe(machine: Machine): Observed {
    const { started, result } = machine.record
    const { problem, guest: agent } = machine
    const unready = machine.probed?.ready === false ? notReadyYet : undefined
    return {
      phase: phaseOf(machine),
      problem,
      started,
      dump: machine.dump,
      paused: pausedBy(machine),
      agent,
      unready,
      result,
      frozen: isFrozen(machine),
      migration: machine.migration,
      plugProblems: machine.plugProblems,
      resizeProblems: machine.resizeProblems,
    }
  }

  function nextLook(machine: Machine): number | undefined {
    if (machine.record.result || machine.starting) return undefined
    if (!machine.record.process) return Math.max(100, machine.retryAt - now())
    if (!machine.agentOpen) return undefined
    // A frozen guest answers to nothing but the thaw.
    if (isFrozen(machine)) return thawWhenDue(machine, observer, now())
    const due = machine.agentReadAt + agentPollMs - now()
    if (due > 0) return due
    readAgent(machine, observer).catch((error) => log.debug('guest agent does not answer', { error }))
    return agentPollMs
  }

  async function syncDeleted(object: StoredObject, machine: Machine | undefined): Promise<SyncResult> {
    if (!machine) return {}
    machine.starting?.abort.abort(new Error('the machine was deleted'))
    if (machine.starting) return { requeueAfter: 500 }
    if (machine.saving) return report(object, machine)
    if (!isRunning(machine)) {
      if (!machine.record.result) end(machine, machine.record.process ? vanished : neverStarted)
      return report(object, machine)
    }
    if (object.metadata.annotations?.[hibernateAnnotation] === 'true') return save(machine, object)
    return await shutDown(object, machine)
  }

  /** The instance stays and tells how it ended. */
  async function syncShutdown(object: StoredObject, machine: Machine): Promise<SyncResult> {
    machine.starting?.abort.abort(new Error('its Pod was deleted'))
    if (machine.starting) return { requeueAfter: 500 }
    if (machine.saving) return report(object, machine)
    if (isRunning(machine)) return await shutDown(object, machine)
    if (!machine.record.result) end(machine, machine.record.process ? vanished : podDeleted)
    return report(object, machine)
  }

  async function shutDown(object: StoredObject, machine: Machine): Promise<SyncResult> {
    const { signalled, requeueAfter, killed } = await stopStep(machine, object, now(), log)
    if (signalled) event(object, 'Normal', 'ShuttingDown', 'Signaled Graceful Shutdown')
    if (killed) end(machine, killed)
    return { ...report(object, machine), requeueAfter }
  }

  /** Suspends the machine to disk; a failure is told and tried again, and the guest runs on meanwhile. */
  function save(machine: Machine, object: StoredObject): SyncResult {
    const wait = machine.retryAt - now()
    if (wait > 0) return { ...report(object, machine), requeueAfter: wait }
    const alone = migrations.giveUp(machine, 'the machine is hibernated')
    machine.saving = alone
      .then(() => hibernate(options.saved, machine, object, () => letGo(machine)))
      .then(
        () => end(machine, hibernated),
        (error) => failed(machine, object, 'HibernateFailed', (error as Error).message),
      )
      .finally(() => {
        machine.saving = undefined
        observer.changed(machine.record.uid)
      })
    return report(object, machine)
  }

  /** Idempotent: the machine gets its result, QEMU goes, and what it held on this machine is given back. */
  function end(machine: Machine, result: MachineResult): void {
    if (machine.ending) return
    const first = !machine.record.result
    machine.record = { ...machine.record, result: machine.record.result ?? explained(machine, result) }
    machine.ending = finish(machine, first)
      .catch((error) => log.error('cannot clean up after a machine', { machine: machine.record.name, error }))
      .finally(() => observer.changed(machine.record.uid))
  }

  function explained(machine: Machine, result: MachineResult): MachineResult {
    if (result !== vanished || !outOfMemory(options.instance, machine.record.uid)) return result
    return {
      ...result,
      reason: 'OutOfMemory',
      message: 'QEMU was killed: it took more memory than the machine may have.',
    }
  }

  async function finish(machine: Machine, first: boolean): Promise<void> {
    const { uid, result, process: identity } = machine.record
    const written = !identity || note(machine)
    const object = objects.get(uid)
    if (first && object && result && identity)
      event(object, result.phase === 'Failed' ? 'Warning' : 'Normal', 'Stopped', result.message)
    observer.changed(uid)
    letGo(machine)
    await migrations.giveUp(machine, 'the machine has ended')
    if (identity && isAlive(identity)) await killAndWait(identity)
    await endCompanions(machine)
    // What it had for itself is everybody's again.
    if (machine.record.started?.placement) await makeWay(machines.values())
    await options.network.detachMachine(uid)
    await unconfine(options.instance, uid)
    removeEphemeralDisks(machine.directory)
    if (!written) note(machine)
  }

  /** False when it cannot be written down: a full disk keeps no machine from ending, which makes room. */
  function note({ directory, record }: Machine): boolean {
    try {
      writeRecord(directory, record)
      return true
    } catch (error) {
      log.warn('cannot write down how a machine ended', { machine: record.name, error })
      return false
    }
  }

  /** The machine runs on or not: Tandem looks at it no more. */
  function letGo(machine: Machine): void {
    probes.get(machine.record.uid)?.()
    probes.delete(machine.record.uid)
    detach(machine)
  }

  function stopped(uid: string): boolean {
    const machine = machines.get(uid)
    if (!machine) return true
    return !machine.starting && !isRunning(machine) && machine.record.result !== undefined
  }

  async function remove({ uid }: FoundWorkload): Promise<void> {
    const machine = machines.get(uid)
    machine?.starting?.abort.abort(new Error('the machine was removed'))
    await machine?.starting?.done
    if (machine) {
      machine.record.result ??= neverStarted
      await migrations.giveUp(machine, 'the machine was removed')
      letGo(machine)
      await machine.ending
    }
    for (const one of processesBelow(paths.machines).get(uid) ?? []) await killAndWait(one)
    await options.network.detachMachine(uid)
    await unconfine(options.instance, uid)
    rmSync(directoryOf(uid), { recursive: true, force: true })
    machines.delete(uid)
    objects.delete(uid)
  }

  function close(): void {
    for (const machine of machines.values()) letGo(machine)
  }

  return { sync, stopped, remove, end, close }
}

/** Nobody reads them any more: only the logs are kept until the object is gone. */
function removeEphemeralDisks(directory: string): void {
  try {
    for (const name of readdirSync(directory))
      if (/^disk-\d+\./.test(name)) rmSync(join(directory, name), { force: true })
  } catch {
    // The directory is gone already.
  }
}

export const hibernated: MachineResult = {
  phase: 'Succeeded',
  reason: hibernatedReason,
  message: 'The VirtualMachineInstance was suspended to disk.',
}

const neverStarted: MachineResult = {
  phase: 'Succeeded',
  reason: 'NeverStarted',
  message: 'The VirtualMachineInstance was deleted before it ran.',
}

const podDeleted: MachineResult = {
  phase: 'Failed',
  reason: 'PodDeleted',
  message: 'The Pod of the VirtualMachineInstance was deleted before it ran.',
}

const notReadyYet = { reason: 'ReadinessProbeFailed', message: 'The readiness probe has not succeeded' }

const isFinal = (object: StoredObject) => ['Succeeded', 'Failed'].includes(object.status?.phase)

function phaseOf(machine: Machine): Phase {
  const { record, starting, problem } = machine
  if (record.result) return record.result.phase
  if (record.process && !starting) return 'Running'
  if (starting) return starting.phase
  return problem && /Image|Unschedulable/.test(problem.reason) ? 'Scheduling' : 'Pending'
}

function reasonOf(error: unknown): [reason: string, message: string] {
  if (error instanceof Waiting) return [error.reason, error.message]
  return [error instanceof Inexpressible ? 'Unsupported' : 'SyncFailed', (error as Error).message]
}

const sooner = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)

/** Keys in order, so that two statuses can be compared as text. */
function sorted(value: any): any {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  )
}
