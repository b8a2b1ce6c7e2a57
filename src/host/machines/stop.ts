// Stopping a guest gracefully: the ACPI power button, pressed again while it does not react, and an end by force when
// its time is up.

import type { StoredObject } from '../../api/meta.ts'
import { parseTime } from '../../api/time.ts'
import type { Logger } from '../../base/log.ts'
import { shutdownAnnotation } from '../../kinds/kubevirt/instance-marks.ts'
import { type Machine, pausedBy } from './machine.ts'
import { killAndWait } from './process.ts'
import { type MachineResult, writeRecord } from './record.ts'
import { specOf } from './vmi.ts'

/** KubeVirt's default when the manifest says nothing (virt-handler, DefaultGracePeriodSeconds). */
const defaultGraceSeconds = 30

/** A guest still in its firmware or boot loader does not see the button: it is pressed again, ever more seldom. */
const pressAgainMs = (presses: number): number => Math.min(1_000 * 2 ** presses, 15_000)

export interface StopProgress {
  /** True when this step pressed the button for the first time. */
  signalled: boolean
  killed?: MachineResult
  requeueAfter?: number
}

const killed: MachineResult = {
  phase: 'Succeeded',
  reason: 'Killed',
  message: 'The VirtualMachineInstance did not shut down in time and was stopped by force.',
}

/** One step of stopping a machine that runs; called again after requeueAfter. */
export async function stopStep(
  machine: Machine,
  object: StoredObject,
  now: number,
  log: Logger,
): Promise<StopProgress> {
  const first = machine.record.stopDeadline === undefined
  // A deadline is never put off, and comes nearer when somebody is in more of a hurry.
  const deadline = Math.min(offBy(object, now), machine.record.stopDeadline ?? Number.POSITIVE_INFINITY)
  if (deadline !== machine.record.stopDeadline) {
    machine.record = { ...machine.record, stopDeadline: deadline }
    try {
      writeRecord(machine.directory, machine.record)
    } catch (error) {
      // A full disk keeps no machine from stopping; only a restart of Tandem would give it more time.
      log.warn('cannot write down when a machine must be off', { machine: machine.record.name, error })
    }
  }
  machine.rebooting = false
  const left = machine.record.stopDeadline! - now
  if (left <= 0) {
    await killAndWait(machine.record.process!)
    return { signalled: false, killed }
  }
  let wait = machine.lastPowerdown + pressAgainMs(machine.powerdowns) - now
  if (wait <= 0) {
    machine.lastPowerdown = now
    wait = pressAgainMs(++machine.powerdowns)
    await press(machine).catch((error) =>
      log.warn('cannot press the power button', { machine: machine.record.name, error }),
    )
  }
  return { signalled: first, requeueAfter: Math.min(left, wait) }
}

function offBy(object: StoredObject, now: number): number {
  const said = parseTime(object.metadata.annotations?.[shutdownAnnotation] ?? '')
  if (said !== undefined && !object.metadata.deletionTimestamp) return said
  return now + (specOf(object).terminationGracePeriodSeconds ?? defaultGraceSeconds) * 1000
}

/** A paused guest cannot react: it goes on first. */
async function press(machine: Machine): Promise<void> {
  const { qmp } = machine
  if (!qmp) return
  if (pausedBy(machine)) await qmp.execute('cont')
  await qmp.execute('system_powerdown')
}
