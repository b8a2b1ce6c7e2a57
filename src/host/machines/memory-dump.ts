// The memory of a guest that runs, written into a claim as an ELF core file for crash(8) and its like. Tandem makes the
// file and hands it over open: QEMU sees nothing of the volume. The guest stands still meanwhile.

import { constants, openSync } from 'node:fs'
import { open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { StoredObject } from '../../api/meta.ts'
import { formatTime } from '../../api/time.ts'
import { VolumeNotReady, type Volumes } from '../volumes/volumes.ts'
import { giveFile } from './hotplug-files.ts'
import type { Machine, Observer } from './machine.ts'
import { specOf, type VmiSpec } from './vmi.ts'

/** A dump of this QEMU: under way, or as it ended. */
export interface MemoryDump {
  volume: string
  file: string
  startedAt: number
  endedAt?: number
  failure?: string
}

export interface DumpRooms {
  volumes: Pick<Volumes, 'claimPath'>
  observer: Observer
  now: () => number
}

/** Far from the numbers that plugged disks have. */
const fileSet = 900_000
const pollMs = 100
/** How long a claim may take to be bound. */
const bindingMs = 120_000
const suffix = '.memory.dump'
const unfinished = '.partial'

const dumpVolume = (spec: VmiSpec) => spec.volumes?.find((volume) => volume.memoryDump)

/** Begins the dump that the spec asks for, once; forgets it when the spec asks no more. */
export function dumpMemory(rooms: DumpRooms, machine: Machine, object: StoredObject): void {
  const volume = dumpVolume(specOf(object))
  if (!volume) {
    if (machine.dump?.endedAt !== undefined) machine.dump = undefined
    return
  }
  const { qmp, saving, runState } = machine
  if (machine.dump || !qmp || saving || runState === 'inmigrate') return
  machine.dump = endedBefore(object, volume.name)
  if (machine.dump) return
  const startedAt = rooms.now()
  const stamp = formatTime(startedAt).replace(/[-:Z]/g, '').replace('T', '-')
  const file = `${object.metadata.name}-${volume.name}-${stamp}${suffix}`
  const dump: MemoryDump = { volume: volume.name, file, startedAt }
  machine.dump = dump
  void write(rooms, machine, volume.memoryDump!.claimName, file)
    .catch((error: Error) => {
      dump.failure = error.message
      rooms.observer.log.warn('cannot dump the memory of a machine', { machine: machine.record.name, error })
    })
    .finally(() => {
      dump.endedAt = rooms.now()
      rooms.observer.changed(machine.record.uid)
    })
}

/** A former Tandem was through with it. */
function endedBefore(object: StoredObject, name: string): MemoryDump | undefined {
  const told = object.status?.volumeStatus?.find((one: any) => one.name === name)
  if (told?.phase !== 'MemoryDumpCompleted' && told?.phase !== 'MemoryDumpFailed') return undefined
  const { startTimestamp, endTimestamp, targetFileName } = told.memoryDumpVolume ?? {}
  return {
    volume: name,
    file: targetFileName,
    startedAt: Date.parse(startTimestamp),
    endedAt: Date.parse(endTimestamp),
    ...(told.phase === 'MemoryDumpFailed' && { failure: told.message }),
  }
}

async function write(rooms: DumpRooms, machine: Machine, claim: string, name: string): Promise<void> {
  const { qmp, directory, record } = machine
  const path = await boundPath(rooms, machine, record.namespace, claim)
  // One dump for each claim: there is room for one.
  for (const old of await readdir(path))
    if (old.endsWith(suffix) || old.endsWith(`${suffix}${unfinished}`)) await rm(join(path, old), { force: true })
  const partial = join(path, `${name}${unfinished}`)
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  const handle = await open(partial, flags, 0o600)
  try {
    // giveFile closes the number that it is given.
    await giveFile(directory, openSync(`/proc/self/fd/${handle.fd}`, constants.O_WRONLY), fileSet)
    try {
      await qmp!.execute('dump-guest-memory', { paging: false, protocol: `file:/dev/fdset/${fileSet}`, detach: true })
      await dumped(machine)
    } finally {
      await machine.qmp?.execute('remove-fd', { 'fdset-id': fileSet }).catch(() => {})
    }
    await handle.sync()
    await rename(partial, join(path, name))
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  } finally {
    await handle.close()
  }
}

/** The claim may only now be getting its volume. */
async function boundPath(rooms: DumpRooms, machine: Machine, namespace: string, claim: string): Promise<string> {
  const deadline = rooms.now() + bindingMs
  for (;;) {
    try {
      return (await rooms.volumes.claimPath(namespace, claim)).path
    } catch (error) {
      if (!(error instanceof VolumeNotReady) || machine.detached || rooms.now() > deadline) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}

async function dumped(machine: Machine): Promise<void> {
  for (;;) {
    if (!machine.qmp) throw new Error('QEMU ended, or does not answer')
    const { status } = await machine.qmp.execute<{ status: string }>('query-dump')
    if (status === 'completed') return
    if (status === 'failed') throw new Error('QEMU could not write the dump: is there room in the volume?')
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}

/** status.volumeStatus */
export function dumpStatus(spec: VmiSpec, dump: MemoryDump | undefined): Record<string, unknown>[] {
  const volume = dumpVolume(spec)
  if (!volume || dump?.volume !== volume.name) return []
  const { name } = volume
  const isOver = dump.endedAt !== undefined
  const memoryDumpVolume = {
    claimName: volume.memoryDump!.claimName,
    startTimestamp: formatTime(dump.startedAt),
    targetFileName: dump.file,
    ...(isOver && { endTimestamp: formatTime(dump.endedAt!) }),
  }
  const shown = { name, target: '', memoryDumpVolume }
  if (!isOver) {
    const message = `Memory dump Volume ${name} is attached, getting memory dump`
    return [{ ...shown, phase: 'MemoryDumpInProgress', reason: 'VolumeMountedToPod', message }]
  }
  if (dump.failure !== undefined) {
    const message = dump.failure.startsWith('Memory dump to pvc')
      ? dump.failure
      : `Memory dump to pvc ${name} failed: ${dump.failure}`
    return [{ ...shown, phase: 'MemoryDumpFailed', message }]
  }
  const message = `Memory dump to Volume ${name} has completed successfully`
  return [{ ...shown, phase: 'MemoryDumpCompleted', reason: 'VolumeReady', message }]
}
