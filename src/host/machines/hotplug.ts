// Disks that are plugged into a guest while it runs, and taken out: the file is handed to QEMU open, then come the block
// node and the device; out in the other order. Each step is written down before it is taken, so that a Tandem that ends
// in between finds its way.

import type { StoredObject } from '../../api/meta.ts'
import { VolumeNotReady, type Volumes } from '../volumes/volumes.ts'
import { blockdev } from './args-storage.ts'
import { ensureClaimDisk } from './claim-disk.ts'
import { canBypassCache, giveTo, type Owner, openDisk } from './disk-files.ts'
import { claimStatus } from './disks.ts'
import { giveFile } from './hotplug-files.ts'
import {
  driveOf,
  freePlace,
  hasScsi,
  nodeOf,
  nothingPlugged,
  type Plugged,
  type PluggedDisk,
  type PlugStep,
  plugDevice,
  plugStep,
  scsiId,
  targetFor,
} from './hotplug-plan.ts'
import type { Machine } from './machine.ts'
import type { PreparedDisk } from './plan.ts'
import { type Qmp, QmpError } from './qmp.ts'
import { writeRecord } from './record.ts'
import { busOf, specOf, type VmiSpec } from './vmi.ts'
import { Waiting } from './waiting.ts'

export interface HotplugRooms {
  volumes: Volumes
  owner?: Owner
  /** Tells of a step: something in the status has changed. */
  changed(): void
  event(type: 'Normal' | 'Warning', reason: string, message: string): void
}

const goneMs = 5_000
const pollMs = 50

/** Why a volume is not where its spec wants it, by its name. */
export type PlugProblems = Map<string, { reason: string; message: string }>

/** Does what is due; what does not succeed is in the answer, and the rest is done all the same. */
export async function plugDisks(rooms: HotplugRooms, machine: Machine, object: StoredObject): Promise<PlugProblems> {
  const spec = specOf(object)
  const problems: PlugProblems = new Map()
  const { detach, attach } = plugStep(spec, pluggedOf(machine))
  const attempt = async (name: string, step: () => Promise<void>) => {
    try {
      await step()
    } catch (error) {
      const known = error instanceof Waiting || error instanceof VolumeNotReady
      problems.set(name, { reason: known ? error.reason : 'FailedHotplug', message: (error as Error).message })
    }
    rooms.changed()
  }
  for (const plugged of detach) await attempt(plugged.name, () => takeOut(rooms, machine, spec, plugged))
  for (const wanted of attach)
    if (!problems.has(wanted.volume.name)) await attempt(wanted.volume.name, () => plug(rooms, machine, object, wanted))
  return problems
}

export const pluggedOf = ({ record }: Machine): Plugged => record.started?.plugged ?? nothingPlugged

export function note(machine: Machine, change: (plugged: Plugged) => Plugged): void {
  const { started } = machine.record
  if (!started) throw new Error('the machine does not run')
  machine.record = { ...machine.record, started: { ...started, plugged: change(pluggedOf(machine)) } }
  writeRecord(machine.directory, machine.record)
}

/** A port that nothing is behind. @throws Inexpressible when there is none */
export const placeFor = (machine: Machine, spec: VmiSpec): string =>
  freePlace(spec, pluggedOf(machine), machine.record.started?.growth?.memory?.port)

const noteDisk = (machine: Machine, id: number, state: PluggedDisk['state']): void =>
  note(machine, (plugged) => ({
    ...plugged,
    disks: plugged.disks.map((one) => (one.id === id ? { ...one, state } : one)),
  }))

export function qmpOf({ qmp, record }: Machine): Qmp {
  if (!qmp) throw new Error(`the machine ${record.name} does not answer`)
  return qmp
}

async function plug(
  rooms: HotplugRooms,
  machine: Machine,
  object: StoredObject,
  { volume, disk, claim, config }: PlugStep['attach'][number],
): Promise<void> {
  const spec = specOf(object)
  const bound = await rooms.volumes.claimPath(object.metadata.namespace!, claim)
  if (busOf(disk) === 'scsi' && !disk.cdrom && !hasScsi(spec)) await plugScsi(machine, spec)
  const before = pluggedOf(machine)
  const plugged: PluggedDisk = {
    name: volume.name,
    id: before.next,
    claim,
    config,
    disk,
    port: disk.cdrom || busOf(disk) === 'scsi' ? undefined : placeFor(machine, spec),
    target: targetFor(spec, before, disk),
    capacityBytes: bound.capacityBytes,
    readOnly: disk.cdrom !== undefined || bound.readOnly || disk.disk?.readonly === true || isReadOnly(volume),
    claimInfo: claimStatus(claim, bound).persistentVolumeClaimInfo,
    state: 'coming',
  }
  note(machine, (known) => ({ ...known, next: known.next + 1, disks: [...known.disks, plugged] }))
  try {
    await putIn(rooms, machine, spec, plugged, ensureClaimDisk(bound, plugged.readOnly))
  } catch (error) {
    await takeOut(rooms, machine, spec, plugged).catch(() => {})
    throw error
  }
  noteDisk(machine, plugged.id, 'ready')
  rooms.event('Normal', 'VolumeReady', `Successfully attach hotplugged volume ${volume.name} to VM`)
}

const isReadOnly = (volume: PlugStep['attach'][number]['volume']): boolean =>
  volume.persistentVolumeClaim?.readOnly === true

async function putIn(
  rooms: HotplugRooms,
  machine: Machine,
  spec: VmiSpec,
  plugged: PluggedDisk,
  path: string,
): Promise<void> {
  const { disk, id, readOnly } = plugged
  const qmp = qmpOf(machine)
  const file = openDisk(path, !readOnly)
  giveTo(file, !readOnly, rooms.owner)
  const prepared: PreparedDisk = {
    disk,
    format: 'raw',
    file: `/dev/fdset/${id}`,
    readOnly,
    direct: (disk.cache || 'none') === 'none' && canBypassCache(file),
    ephemeral: false,
  }
  await giveFile(machine.directory, file, id)
  await qmp.execute('blockdev-add', blockdev(nodeOf(plugged), prepared))
  if (!disk.cdrom) {
    await qmp.execute('device_add', plugDevice(plugged, prepared))
    return
  }
  const drive = { id: driveOf(spec, plugged.name) }
  await qmp.execute('blockdev-open-tray', { ...drive, force: true })
  await qmp.execute('blockdev-insert-medium', { ...drive, 'node-name': nodeOf(plugged) })
  await qmp.execute('blockdev-close-tray', drive)
}

/** Idempotent: what is not there is not taken out. @throws Waiting while the guest holds on to it */
async function takeOut(rooms: HotplugRooms, machine: Machine, spec: VmiSpec, plugged: PluggedDisk): Promise<void> {
  const qmp = qmpOf(machine)
  noteDisk(machine, plugged.id, 'leaving')
  rooms.changed()
  if (plugged.disk.cdrom) await eject(qmp, driveOf(spec, plugged.name), nodeOf(plugged))
  else await unplug(qmp, `${nodeOf(plugged)}-device`, 'VolumeDetaching', `volume ${plugged.name}`)
  await unless(/Failed to find node/, qmp.execute('blockdev-del', { 'node-name': nodeOf(plugged) }))
  await unless(/not found|No such file/i, qmp.execute('remove-fd', { 'fdset-id': plugged.id }))
  note(machine, (known) => ({ ...known, disks: known.disks.filter(({ id }) => id !== plugged.id) }))
}

async function eject(qmp: Qmp, id: string, node: string): Promise<void> {
  const drives = await qmp.execute<any[]>('query-block')
  if (drives.find((one) => one.qdev === id)?.inserted?.['node-name'] !== node) return
  await qmp.execute('blockdev-open-tray', { id, force: true })
  await qmp.execute('blockdev-remove-medium', { id })
  await qmp.execute('blockdev-close-tray', { id })
}

/** A PCI device goes when the guest has let go of it. */
export async function unplug(qmp: Qmp, id: string, reason: string, what: string): Promise<void> {
  await unless(/not found|already in the process/, qmp.execute('device_del', { id }))
  for (let waited = 0; await isThere(qmp, id); waited += pollMs) {
    if (waited >= goneMs) throw new Waiting(reason, `the guest has not let go of ${what} yet; it is asked again`)
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}

export async function isThere(qmp: Qmp, id: string): Promise<boolean> {
  const devices = await qmp.execute<{ name: string }[]>('qom-list', { path: '/machine/peripheral' })
  return devices.some(({ name }) => name === id)
}

/** What QEMU refuses in such words is done already. */
export async function unless(words: RegExp, work: Promise<unknown>): Promise<void> {
  await work.catch((error) => {
    if (!(error instanceof QmpError) || !words.test(error.message)) throw error
  })
}

/** The controller for disks on SCSI, where the machine was started without: it stays. */
async function plugScsi(machine: Machine, spec: VmiSpec): Promise<void> {
  const qmp = qmpOf(machine)
  if (await isThere(qmp, scsiId)) return
  const scsiPort = pluggedOf(machine).scsiPort ?? placeFor(machine, spec)
  note(machine, (plugged) => ({ ...plugged, scsiPort }))
  await qmp.execute('device_add', { driver: 'virtio-scsi-pci', id: scsiId, bus: scsiPort })
}
