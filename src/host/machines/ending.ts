// How a machine ends: its result, its processes, and what it held on this machine.

import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { StoredObject } from '../../api/meta.ts'
import { hibernatedReason } from '../../kinds/kubevirt/hibernation.ts'
import { outOfMemory, unconfine } from './cgroup.ts'
import { endCompanions } from './companion.ts'
import type { LifecycleOptions } from './lifecycle.ts'
import { type Machine, vanished } from './machine.ts'
import { makeWay } from './placement.ts'
import { isAlive, killAndWait } from './process.ts'
import { type MachineResult, writeRecord } from './record.ts'

export interface EndingOptions
  extends Pick<LifecycleOptions, 'machines' | 'observer' | 'log' | 'record' | 'instance' | 'network'> {
  /** The newest object of a machine. */
  object(uid: string): StoredObject | undefined
  /** The machine runs on or not: Tandem looks at it no more. */
  letGo(machine: Machine): void
  /** Gives up a migration that goes on. */
  giveUp(machine: Machine, why: string): Promise<void>
}

export function createEnding(options: EndingOptions): (machine: Machine, result: MachineResult) => void {
  const { machines, observer, log, record: event, letGo } = options

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
    const object = options.object(uid)
    if (first && object && result && identity)
      event(object, result.phase === 'Failed' ? 'Warning' : 'Normal', 'Stopped', result.message)
    observer.changed(uid)
    letGo(machine)
    await options.giveUp(machine, 'the machine has ended')
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

  return end
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

export const neverStarted: MachineResult = {
  phase: 'Succeeded',
  reason: 'NeverStarted',
  message: 'The VirtualMachineInstance was deleted before it ran.',
}

export const podDeleted: MachineResult = {
  phase: 'Failed',
  reason: 'PodDeleted',
  message: 'The Pod of the VirtualMachineInstance was deleted before it ran.',
}
