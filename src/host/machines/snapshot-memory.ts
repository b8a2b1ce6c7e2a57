// A running machine whole: its memory and every disk, also those that go with the instance. The guest stands still until
// all is copied, and goes on. Going back is what going on from suspend to disk is (hibernate.ts).

import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { StoredObject } from '../../api/meta.ts'
import { type Machine, type Observer, pausedBy, refresh } from './machine.ts'
import { saveRam } from './ram-stream.ts'
import { writeRecord } from './record.ts'
import { hardwareOf, isKept, type SavedState, type SavedStates } from './saved-states.ts'
import { copyDisk, type TakenSnapshot } from './snapshot-files.ts'
import { specOf } from './vmi.ts'

const ramFile = 'ram'

/** `disks`: files of claims, and where their copies are to be. */
export async function copyWithMemory(
  machine: Machine,
  observer: Observer,
  instance: StoredObject,
  into: string,
  disks: { from: string; to: string }[],
): Promise<SavedState> {
  const { qmp, record, directory } = machine
  if (!qmp || !record.started) throw new Error('QEMU does not answer')
  if (machine.saving) throw new Error('the machine is being suspended to disk')
  const paused = pausedBy(machine) !== undefined
  const owner = record.user === undefined ? undefined : { uid: record.user, gid: record.user }
  const work = async () => {
    note(machine, { paused })
    try {
      await qmp.execute('stop')
      await saveRam(qmp, directory, join(into, ramFile), owner)
      for (const { from, to } of disks) await copyDisk(from, to)
      for (const name of readdirSync(directory))
        if (isKept(name)) await copyDisk(join(directory, name), join(into, name))
    } finally {
      await letRun(machine)
      await refresh(machine, observer)
    }
  }
  machine.saving = work().finally(() => {
    machine.saving = undefined
  })
  await machine.saving
  return {
    instance: record.uid,
    emulator: qmp.version,
    started: record.started,
    hardware: hardwareOf(specOf(instance)),
    paused,
  }
}

/** Written down, so that a guest does not stand still because Tandem ended. */
function note(machine: Machine, snapping: { paused: boolean } | undefined): void {
  const { snapping: _, ...record } = machine.record
  machine.record = { ...record, ...(snapping && { snapping }) }
  writeRecord(machine.directory, machine.record)
}

/** The guest goes on, if it ran. Also for a machine that a former Tandem left while its memory was being copied. */
export async function letRun(machine: Machine): Promise<void> {
  const { qmp, record } = machine
  if (!record.snapping || !qmp) return
  for (let tries = 1; ; tries++) {
    try {
      // QEMU counts as having moved away: only going on gives it its disks back.
      await qmp.execute('cont')
      break
    } catch (error) {
      // A copy that nobody takes any more has not come to its end yet.
      if (tries === 50) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  if (record.snapping.paused) await qmp.execute('stop')
  note(machine, undefined)
}

/** Makes a snapshot's memory the saved state of a machine; `claims`: what its volumes are called now. */
export async function restoreMemory(
  saved: SavedStates,
  owner: string,
  from: string,
  { memory }: TakenSnapshot,
  claims: Map<string, string>,
): Promise<void> {
  if (!memory) throw new Error('the snapshot holds no memory')
  const ram = saved.begin(owner)
  await copyDisk(join(from, ramFile), ram)
  const disks = `${ram}-disks`
  mkdirSync(disks, { mode: 0o700 })
  for (const name of readdirSync(from)) if (isKept(name)) await copyDisk(join(from, name), join(disks, name))
  // It is the state of no instance that Tandem knows.
  saved.seal(owner, { ...memory, instance: `restored-${owner}`, hardware: onClaims(memory.hardware, claims) })
  saved.collect(owner, disks)
}

/** The hardware on restored claims: the same disks under other names. */
function onClaims(hardware: string, claims: Map<string, string>): string {
  const whole = JSON.parse(hardware)
  whole.volumes = whole.volumes?.map((volume: any) => {
    const claimName = claims.get(volume.name)
    return claimName
      ? { name: volume.name, persistentVolumeClaim: { ...volume.persistentVolumeClaim, claimName } }
      : volume
  })
  return JSON.stringify(whole)
}
