// The life of each machine: sync decides the next step; start, end and removal run beside it and ask for another sync.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { StoredObject } from '../../api/meta.ts'
import type { Logger } from '../../base/log.ts'
import { hibernateAnnotation } from '../../kinds/kubevirt/hibernation.ts'
import { isReceiver, shutdownAnnotation } from '../../kinds/kubevirt/instance-marks.ts'
import type { FoundWorkload, SyncResult } from '../workload.ts'
import type { Accelerator } from './accelerator.ts'
import { adjust } from './adjusting.ts'
import { createBeginning } from './beginning.ts'
import { unconfine } from './cgroup.ts'
import { keepCredentials } from './credentials.ts'
import { createEnding, hibernated, neverStarted, podDeleted } from './ending.ts'
import { hibernate } from './hibernate.ts'
import { detach, isRunning, type Machine, newMachine, type Observer, vanished } from './machine.ts'
import type { MachinesOptions } from './machines.ts'
import { dumpMemory } from './memory-dump.ts'
import { createMigrations } from './migrations.ts'
import { startProbes } from './probes.ts'
import { killAndWait, processesBelow } from './process.ts'
import type { MachineResult } from './record.ts'
import { createReport } from './report.ts'
import type { SavedStates } from './saved-states.ts'
import type { Sources } from './sources.ts'
import { statusOf } from './status.ts'
import { stopStep } from './stop.ts'
import type { TemplateRooms } from './template-copy.ts'
import { specOf } from './vmi.ts'

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

export function createLifecycle(options: LifecycleOptions): Lifecycle {
  const { machines, observer, log, now, paths, record: event } = options
  const directoryOf = (uid: string) => join(paths.machines, uid)
  /** The newest object of each machine, for events that come from below. */
  const objects = new Map<string, StoredObject>()
  /** How to stop the probes of each machine that runs. */
  const probes = new Map<string, () => void>()
  const { begin, failed, roomsOf } = createBeginning(options)
  const report = createReport(options)
  const migrations = createMigrations({ ...options, rooms: roomsOf })
  const end = createEnding({ ...options, object: (uid) => objects.get(uid), letGo, giveUp: migrations.giveUp })

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
      keepCredentials({ ...options, record: event }, machine, object)
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
      // What is just being plugged has a network of its own to leave.
      await machine.adjusting
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

const isFinal = (object: StoredObject) => ['Succeeded', 'Failed'].includes(object.status?.phase)
