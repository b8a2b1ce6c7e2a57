// Which machine moves when: status.migrationState asks for it, and is answered there. Reasons and texts: KubeVirt 1.9
// (pkg/virt-handler/migration-source.go, migration-target.go).

import type { StoredObject } from '../../api/meta.ts'
import { parseQuantity, quantityMilli } from '../../api/quantity.ts'
import { formatTime } from '../../api/time.ts'
import type { Logger } from '../../base/log.ts'
import type { EventRecorder } from '../workload.ts'
import { isRunning, type Machine, type Observer } from './machine.ts'
import { type MoveOrder, move } from './migrate.ts'
import type { TransferSettings } from './migrate-qemu.ts'
import type { StartRooms } from './start.ts'

export interface MigrationsOptions {
  observer: Observer
  log: Logger
  now: () => number
  record: EventRecorder
  nodeName: string
  /** undefined when there is no QEMU on this machine. */
  rooms(machine: Machine): StartRooms | undefined
}

export interface Migrations {
  /** Begins or gives up what the object's status asks for. */
  look(machine: Machine, object: StoredObject): void
  /** Gives up a migration that goes on; resolves when the machine has one QEMU. */
  giveUp(machine: Machine, why: string): Promise<void>
}

/** What the source says when a migration was cancelled. */
const abortedText = 'Live migration has been aborted'
/** A pause of that length at most, by QEMU's estimate; the handing over comes on top. */
const downtimeMs = 50
/** KubeVirt's defaults (pkg/virt-config, 1.9). */
const completionSecondsPerGiB = 150
const progressTimeoutMs = 150_000

const defined = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined)

/** From status.migrationState.migrationConfiguration. Pure. */
export function transferSettings(configuration: Record<string, any> = {}, memoryBytes: number): TransferSettings {
  const { bandwidthPerMigration = '0', completionTimeoutPerGiB, progressTimeout } = configuration
  const perGiB = defined(completionTimeoutPerGiB) ?? completionSecondsPerGiB
  const progress = defined(progressTimeout)
  return {
    bandwidth: Number(quantityMilli(parseQuantity(String(bandwidthPerMigration))) / 1000n),
    autoConverge: configuration.allowAutoConverge === true,
    downtimeMs: defined(configuration.maxDowntimeMs) ?? downtimeMs,
    completionTimeoutMs: Math.max(1, perGiB * Math.max(1, memoryBytes / 2 ** 30)) * 1000,
    progressTimeoutMs: progress === undefined ? progressTimeoutMs : progress * 1000,
    mayPause: configuration.allowWorkloadDisruption === true,
  }
}

export function createMigrations({ observer, log, now, record, nodeName, rooms }: MigrationsOptions): Migrations {
  const time = () => formatTime(now())

  function look(machine: Machine, object: StoredObject): void {
    const asked = object.status?.migrationState
    if (!asked?.migrationUid || asked.endTimestamp) return
    if (machine.migration?.uid !== asked.migrationUid) take(machine, object, asked)
    else if (asked.abortRequested && !machine.migration!.isOver && !machine.migration!.abort.signal.aborted) {
      record(object, 'Normal', 'Migrating', 'VirtualMachineInstance is aborting migration.')
      machine.migration!.abort.abort(new Error(abortedText))
    }
  }

  function take(machine: Machine, object: StoredObject, asked: Record<string, any>): void {
    const uid: string = asked.migrationUid
    if (machine.migration && !machine.migration.isOver) return
    const { moved } = machine.record
    if (moved?.uid === uid) {
      conclude(machine, uid, succeeded(moved))
      event(object, undefined)
    } else if (asked.targetNodeAddress) fail(machine, object, uid, 'Tandem was restarted during the migration')
    else if (asked.abortRequested) fail(machine, object, uid, abortedText, true)
    else if (isRunning(machine) && !machine.saving && !machine.adjusting) begin(machine, object, uid, asked)
  }

  function conclude(machine: Machine, uid: string, told: Record<string, unknown>): void {
    machine.migration = { uid, told, abort: new AbortController(), done: Promise.resolve(), isOver: true }
  }

  const succeeded = ({ started, ended }: { started: number; ended: number }) => ({
    startTimestamp: formatTime(started),
    endTimestamp: formatTime(ended),
    targetNodeDomainReadyTimestamp: formatTime(ended),
    targetNodeDomainDetected: true,
    completed: true,
  })

  function event(object: StoredObject, pauseMs: number | undefined): void {
    record(object, 'Normal', 'Migrated', `The VirtualMachineInstance migrated to node ${nodeName}.`)
    if (pauseMs === undefined) return
    const pause = pauseMs < 10 ? pauseMs.toFixed(1) : pauseMs.toFixed(0)
    record(object, 'Normal', 'MigrationPause', `The guest was paused for ${pause} ms while it was handed over.`)
  }

  function failure(reason: string, aborted: boolean): Record<string, unknown> {
    const abort = aborted && { abortRequested: true, abortStatus: 'Succeeded' }
    return { endTimestamp: time(), completed: true, failed: true, failureReason: reason, ...abort }
  }

  function fail(machine: Machine, object: StoredObject, uid: string, reason: string, aborted = false): void {
    conclude(machine, uid, failure(reason, aborted))
    tellFailure(object, uid, reason)
  }

  const tellFailure = (object: StoredObject, uid: string, reason: string) =>
    record(object, 'Warning', 'Migrated', `VirtualMachineInstance migration uid ${uid} failed. reason:${reason}`)

  function begin(machine: Machine, object: StoredObject, uid: string, asked: Record<string, any>): void {
    const own = rooms(machine)
    if (!own) {
      fail(machine, object, uid, 'there is no QEMU on this machine')
      return
    }
    const abort = new AbortController()
    const told: Record<string, unknown> = { mode: 'PreCopy' }
    const migration = { uid, told, abort, done: Promise.resolve(), isOver: false }
    machine.migration = migration
    const tell = (more: Record<string, unknown>) => {
      Object.assign(told, more)
      observer.changed(machine.record.uid)
    }
    const order: MoveOrder = {
      uid,
      settings: transferSettings(asked.migrationConfiguration, machine.record.started?.memoryBytes ?? 0),
      signal: abort.signal,
      now,
      onReady() {
        record(object, 'Normal', 'PreparingTarget', 'VirtualMachineInstance Migration Target Prepared.')
        tell({ targetNodeAddress: '127.0.0.1' })
      },
      onBegin() {
        record(object, 'Normal', 'Migrating', 'VirtualMachineInstance is migrating.')
        tell({ startTimestamp: time() })
      },
    }
    migration.done = move(own, machine, object, observer, order)
      .then(
        ({ pauseMs }) => {
          migration.isOver = true
          log.info('a guest moved to another QEMU', { machine: machine.record.name, pauseMs })
          event(object, pauseMs)
          tell(succeeded(machine.record.moved!))
        },
        (error) => {
          migration.isOver = true
          const reason = abort.signal.aborted ? (abort.signal.reason as Error).message : (error as Error).message
          log.warn('a migration failed', { machine: machine.record.name, error })
          tellFailure(object, uid, reason)
          tell(failure(reason, reason === abortedText))
        },
      )
      .catch((error) => log.error('cannot tell of a migration', { machine: machine.record.name, error }))
  }

  return {
    look,
    async giveUp({ migration }, why) {
      if (!migration || migration.isOver) return
      migration.abort.abort(new Error(why))
      await migration.done
    },
  }
}
