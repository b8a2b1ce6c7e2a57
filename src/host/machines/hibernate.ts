// Suspend to disk and go on: the guest is stopped, its memory saved, QEMU ended; later a new QEMU with the same devices
// loads it. Works across restarts of Tandem and of the machine; a kill -9 at any moment leaves either a guest that runs or
// a state that is whole.

import type { StoredObject } from '../../api/meta.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { resumeAnnotation, savedAnnotation } from '../../kinds/kubevirt/hibernation.ts'
import { ephemeralVolumesOf, fixedPart } from '../../kinds/kubevirt/live-changes.ts'
import { cardsOf } from '../../kinds/kubevirt/live-networks.ts'
import type { Accelerator } from './accelerator.ts'
import { type Machine, type Observer, pausedBy, refresh } from './machine.ts'
import { isAlive, killAndWait } from './process.ts'
import { loadRam, saveRam } from './ram-stream.ts'
import { writeRecord } from './record.ts'
import { hardwareOf, ownerOf, type SavedState, type SavedStates } from './saved-states.ts'
import { specOf, type VmiSpec } from './vmi.ts'
import { Waiting } from './waiting.ts'

/** How to give a saved state up, at the end of every message that says why it cannot be used. */
const discard = (what: string) =>
  `${what}; or start it afresh, without what is saved: take the annotation ${savedAnnotation} off the VirtualMachine and restart it`

/** What is half in or out, or in no template, would not be there when the guest goes on. */
function requirePluggedWhole({ metadata }: StoredObject, { record }: Machine): void {
  const ephemeral = ephemeralVolumesOf(metadata.annotations)
  for (const { name, state } of record.started?.plugged?.disks ?? []) {
    if (state !== 'ready') throw new Error(`volume ${name} is being taken out of the guest`)
    if (ephemeral.has(name))
      throw new Error(`volume ${name} was added to the instance alone: remove it, or add it to spec.template`)
  }
  for (const { name, state } of record.started?.plugged?.cards ?? [])
    if (state !== 'ready') throw new Error(`interface ${name} is being plugged into the guest`)
  // Without ports what comes behind an empty place would move up.
  if (record.started?.plugged?.emptied?.some(({ express }) => !express))
    throw new Error('an interface was taken out of a machine that is no q35: restart it first')
}

/** Saves a machine that runs and ends its QEMU. @throws Error; the guest runs on then. */
export async function hibernate(
  saved: SavedStates,
  machine: Machine,
  object: StoredObject,
  letGo: () => void,
): Promise<void> {
  await machine.adjusting
  const { qmp, record } = machine
  const owner = ownerOf(object)
  if (!owner) throw new Error('only an instance that belongs to a VirtualMachine can be hibernated')
  if (!qmp || !record.started) throw new Error('QEMU does not answer')
  requirePluggedWhole(object, machine)
  if (!saved.isSealed(owner, record.uid)) {
    const paused = pausedBy(machine) !== undefined
    await qmp.execute('stop')
    try {
      await saveRam(
        qmp,
        machine.directory,
        saved.begin(owner),
        record.user === undefined ? undefined : { uid: record.user, gid: record.user },
      )
    } catch (error) {
      saved.forget(owner)
      if (!paused) await qmp.execute('cont')
      throw error
    }
    const { uid: instance, started } = record
    saved.seal(owner, { instance, emulator: qmp.version, started, hardware: hardwareOf(specOf(object)), paused })
  }
  letGo()
  await killAndWait(record.process!)
  saved.collect(owner, machine.directory)
}

/** Whatever the order of fields: what was plugged came by another way than what was there from the start. */
export const isSameHardware = (saved: string, today: string): boolean =>
  equalJson(JSON.parse(fixedHardware(saved)), JSON.parse(fixedHardware(today)))

/** Without what may change while the guest runs, and so while it does not. */
function fixedHardware(text: string): string {
  const spec = JSON.parse(text)
  const { domain, ...rest } = fixedPart(spec)
  const { resources: _, cpu, memory, ...devices } = domain
  // The room to grow is that of the saved guest, whatever the template's would be now.
  const { maxSockets: __, ...processors } = cpu
  const { maxGuest: ___, ...pages } = memory
  return JSON.stringify({ ...rest, domain: { ...devices, cpu: processors, memory: pages }, cards: wiring(spec) })
}

/** Cards and networks in any order, as what was plugged came last; cables may be pulled meanwhile. */
function wiring(spec: unknown): object {
  const { interfaces, networks } = cardsOf(spec)
  const byName = (one: any, other: any) => (one.name < other.name ? -1 : 1)
  return {
    interfaces: interfaces.map(({ state: _, ...card }) => card).sort(byName),
    networks: networks.toSorted(byName),
  }
}

/** The saved state from which an instance is to go on. @throws Waiting when it is to, and cannot */
export function stateToResume(
  { saved, emulator }: { saved: SavedStates; emulator: { version: string } },
  object: StoredObject,
  spec: VmiSpec,
): { owner: string; state: SavedState } | undefined {
  const owner = ownerOf(object)
  if (!owner) return undefined
  if (object.metadata.annotations?.[resumeAnnotation] !== 'true') {
    saved.forget(owner)
    return undefined
  }
  const state = saved.find(owner)
  if (!state)
    throw new Waiting('ResumeFailed', discard('the saved state of this machine is gone: put its directory back'))
  if (!isSameHardware(state.hardware, hardwareOf(spec)))
    throw new Waiting(
      'ResumeFailed',
      discard('spec.template was changed while the machine was hibernated: change domain, networks and volumes back'),
    )
  if (state.emulator !== emulator.version)
    throw new Waiting(
      'ResumeFailed',
      discard(`the machine was saved by QEMU ${state.emulator} and this is ${emulator.version}: install the former`),
    )
  return { owner, state }
}

/** @throws Waiting when the images below the disks, or the accelerator, are others than when it was saved */
export function requireSame(state: SavedState, shared: readonly string[], accelerator: Accelerator): void {
  if (JSON.stringify(shared) !== JSON.stringify(state.started.sharedDisks))
    throw new Waiting(
      'ResumeFailed',
      discard('an image of its disks was replaced under the same name: load the former'),
    )
  if (accelerator.kind !== state.started.accelerator)
    throw new Waiting(
      'ResumeFailed',
      discard(`the machine was saved under ${state.started.accelerator} and this is ${accelerator.kind}`),
    )
}

/** Loads the memory into a QEMU that waits for it, and lets the guest run. */
export async function goOn(saved: SavedStates, machine: Machine, observer: Observer, owner: string): Promise<void> {
  const state = saved.find(owner)
  if (!machine.qmp || !state) throw new Error('the saved state cannot be read')
  await loadRam(machine.qmp, machine.directory, saved.ram(owner))
  await finishResume(saved, machine, owner)
  await refresh(machine, observer)
}

/**
 * The memory is loaded. What is saved is void before the guest may write to its disks: the two never belong together
 * again.
 */
export async function finishResume(saved: SavedStates, machine: Machine, owner: string): Promise<void> {
  const paused = saved.find(owner)?.paused ?? machine.record.resuming?.paused ?? false
  saved.spend(owner)
  if (!paused) await machine.qmp!.execute('cont')
  const { resuming: _, ...record } = machine.record
  machine.record = record
  writeRecord(machine.directory, record)
  saved.forget(owner)
}

/** What is to be done about a machine that a former Tandem left in the middle of being saved or loaded. */
export async function recoverHalfway(
  saved: SavedStates,
  machine: Machine,
): Promise<'hibernated' | 'again' | 'as it is'> {
  const { uid, resuming, process } = machine.record
  if (process && isAlive(process)) {
    if (machine.record.unfinished) {
      await killAndWait(process)
      return 'again'
    }
    if (!resuming || !machine.qmp) return 'as it is'
    if (machine.runState !== 'inmigrate') {
      await finishResume(saved, machine, resuming.owner)
      return 'as it is'
    }
    await killAndWait(process)
    return 'again'
  }
  const sealed = saved.all().find(([, state]) => state.instance === uid)
  if (sealed) {
    saved.collect(sealed[0], machine.directory)
    return 'hibernated'
  }
  return resuming && saved.find(resuming.owner) ? 'again' : 'as it is'
}
