// From the volumes of a machine to the files that QEMU opens. Run anew for each start: what does not outlive the machine
// is made again, a claim's disk is used as it is.

import { closeSync, fstatSync, statSync } from 'node:fs'
import { chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { StoredObject } from '../../api/meta.ts'
import { isHotpluggable } from '../../kinds/kubevirt/live-changes.ts'
import { ImageError, type Images } from '../images/images.ts'
import { type ClaimPlace, VolumeNotReady, type Volumes } from '../volumes/volumes.ts'
import { ensureClaimDisk, filesystemOverhead } from './claim-disk.ts'
import { ensureImage, unlessAborted } from './container-image.ts'
import { canBypassCache, createQcow2, giveTo, type Owner, openDisk } from './disk-files.ts'
import { openHostDisk } from './host-disk.ts'
import { pluggedAgain } from './hotplug-plan.ts'
import { isoImage } from './iso9660.ts'
import type { DiskFormat, PreparedDisk, PreparedPlug } from './plan.ts'
import { firstFile } from './process.ts'
import type { StartedMachine } from './record.ts'
import { quantity } from './resources.ts'
import type { Seed } from './seed.ts'
import type { Sources } from './sources.ts'
import { coldDisks, type Disk, diskTargets, specOf, type Volume } from './vmi.ts'
import { Waiting } from './waiting.ts'

export interface DiskRooms {
  images: Images
  volumes: Volumes
  sources: Sources
  owner?: Owner
}

export interface PreparedDisks {
  disks: PreparedDisk[]
  plugged: PreparedPlug[]
  /** Open descriptors for QEMU, in the order of firstFile, firstFile + 1, …; `close` after the start. */
  files: number[]
  /** Files that other machines may use as well: they must not be removed while this one runs. */
  shared: string[]
  /** status.volumeStatus */
  volumes: Record<string, unknown>[]
  close(): void
}

/**
 * With `before` the machine's own disks lie in its directory already, and what was plugged is to be there again.
 * @throws Waiting for what may still come; Error for what is wrong.
 */
export async function prepareDisks(
  rooms: DiskRooms,
  machine: StoredObject,
  uuid: string,
  directory: string,
  signal: AbortSignal,
  before: StartedMachine | undefined,
): Promise<PreparedDisks> {
  const spec = specOf(machine)
  const wanted = coldDisks(spec)
  const targets = diskTargets(wanted)
  const resuming = before !== undefined
  const work: Work = { rooms, machine, uuid, directory, signal, resuming, files: [], shared: [] }
  const close = () => {
    for (const file of work.files.splice(0)) closeSync(file)
  }
  const disks: PreparedDisk[] = []
  const volumes: Record<string, unknown>[] = []
  const plugged: PreparedPlug[] = []
  try {
    for (const [index, disk] of wanted.entries()) {
      const volume = spec.volumes?.find((one) => one.name === disk.name)
      if (disk.cdrom && (!volume || isHotpluggable(volume))) {
        disks.push({ ...emptyDrive, disk })
        continue
      }
      if (!volume) throw new Error(`disk ${disk.name}: there is no volume of this name in spec.volumes`)
      const { status, ...prepared } = await prepare(work, index, disk, volume).catch((error: unknown) => {
        throw explained(error, volume)
      })
      disks.push({ ...prepared, disk })
      volumes.push({ name: disk.name, target: targets.get(disk.name), ...status })
    }
    for (const known of before?.plugged?.disks ?? []) {
      const plug = pluggedAgain(spec, known)
      const { status: _, ...prepared } = await claimDisk(work, plug.disk, plug.claim, plug.readOnly)
      plugged.push({ plug, prepared: { ...prepared, disk: plug.disk } })
    }
  } catch (error) {
    close()
    throw error
  }
  return { disks, plugged, files: work.files, shared: work.shared, volumes, close }
}

interface Work {
  rooms: DiskRooms
  machine: StoredObject
  uuid: string
  directory: string
  /** Aborted when the machine is not wanted any more. */
  signal: AbortSignal
  resuming: boolean
  files: number[]
  shared: string[]
}

type Prepared = Omit<PreparedDisk, 'disk'> & { status?: object }

const emptyDrive: Prepared = {
  format: 'raw',
  file: '',
  readOnly: true,
  direct: false,
  ephemeral: false,
  empty: true,
}

/** The message says which volume waits; the reason is the driver's own where nobody gave one. */
function explained(error: unknown, { name, containerDisk }: Volume): Waiting {
  const known = error instanceof Waiting || error instanceof VolumeNotReady || error instanceof ImageError
  const what = containerDisk ? `volume "${name}" (image "${containerDisk.image}")` : `volume "${name}"`
  return new Waiting(known ? error.reason : 'SyncFailed', `${what}: ${(error as Error).message}`, { cause: error })
}

async function prepare(work: Work, index: number, disk: Disk, volume: Volume): Promise<Prepared> {
  const name = `disk-${index}`
  const cdrom = disk.cdrom !== undefined
  const readOnly = cdrom ? disk.cdrom?.readonly !== false : disk.disk?.readonly === true
  if (volume.containerDisk) return await containerDisk(work, `${name}.qcow2`, volume, cdrom && readOnly)
  if (volume.emptyDisk) return await emptyDisk(work, `${name}.qcow2`, volume)
  if (volume.ephemeral) return await ephemeralClaim(work, `${name}.qcow2`, volume)
  const claim = volume.persistentVolumeClaim?.claimName ?? volume.dataVolume?.name
  if (claim) return await claimDisk(work, disk, claim, readOnly || volume.persistentVolumeClaim?.readOnly === true)
  if (volume.hostDisk) return await hostDisk(work, disk, volume, readOnly)
  if (volume.cloudInitNoCloud || volume.cloudInitConfigDrive)
    return await seedDisk(
      work,
      `${name}.iso`,
      cdrom,
      await work.rooms.sources.cloudInit(work.machine, work.uuid, volume),
    )
  if (volume.configMap || volume.secret || volume.serviceAccount || volume.downwardAPI)
    return await seedDisk(work, `${name}.iso`, cdrom, await work.rooms.sources.files(work.machine, volume))
  if (volume.sysprep)
    return await seedDisk(work, `${name}.iso`, cdrom, await work.rooms.sources.sysprep(work.machine, volume))
  throw new Error(`volume ${volume.name}: its source is not supported as a disk`)
}

async function containerDisk(work: Work, name: string, volume: Volume, plain: boolean): Promise<Prepared> {
  const { image, path } = volume.containerDisk!
  const { images, owner } = work.rooms
  await ensureImage(work.rooms, work.machine, volume.containerDisk!, work.signal)
  const file = await unlessAborted(images.containerDisk(image, path), work.signal)
  work.shared.push(file.path)
  const shared = handOver(work, openDisk(file.path, false), false)
  if (plain) return { format: file.format, file: shared, readOnly: true, direct: false, ephemeral: false }
  if (!work.resuming) await createQcow2(work.directory, name, file.virtualSize, owner, file)
  return overlay(name, file.format, shared)
}

const overlay = (name: string, format: DiskFormat, file: string): Prepared => ({
  format: 'qcow2',
  file: name,
  backing: { format, file },
  readOnly: false,
  direct: false,
  ephemeral: true,
})

async function emptyDisk(work: Work, name: string, volume: Volume): Promise<Prepared> {
  const size = quantity(volume.emptyDisk!.capacity)
  if (!work.resuming) await createQcow2(work.directory, name, Math.ceil(size / 512) * 512, work.rooms.owner)
  return { format: 'qcow2', file: name, readOnly: false, direct: false, ephemeral: true, status: { size } }
}

async function claimDisk(work: Work, disk: Disk, claim: string, readOnly: boolean): Promise<Prepared> {
  const bound = await work.rooms.volumes.claimPath(work.machine.metadata.namespace!, claim)
  const fixed = readOnly || bound.readOnly
  const file = openDisk(ensureClaimDisk(bound, fixed), !fixed)
  const path = handOver(work, file, !fixed, disk.shareable)
  const direct = (disk.cache || 'none') === 'none' && canBypassCache(file)
  return { format: 'raw', file: path, readOnly: fixed, direct, ephemeral: false, status: claimStatus(claim, bound) }
}

async function hostDisk(work: Work, disk: Disk, volume: Volume, readOnly: boolean): Promise<Prepared> {
  const { featureGates } = await work.rooms.sources.configuration()
  const file = openHostDisk(volume.hostDisk!, featureGates, readOnly)
  const path = handOver(work, file, !readOnly, disk.shareable || volume.hostDisk!.shared)
  const direct = (disk.cache || 'none') === 'none' && canBypassCache(file)
  return { format: 'raw', file: path, readOnly, direct, ephemeral: false, status: { size: fstatSync(file).size } }
}

async function ephemeralClaim(work: Work, name: string, volume: Volume): Promise<Prepared> {
  const claim = volume.ephemeral?.persistentVolumeClaim?.claimName
  if (!claim) throw new Error(`volume ${volume.name}: ephemeral needs a persistentVolumeClaim`)
  const bound = await work.rooms.volumes.claimPath(work.machine.metadata.namespace!, claim)
  const path = join(bound.path, 'disk.img')
  const file = openDisk(path, false)
  const shared = handOver(work, file, false)
  if (!work.resuming)
    await createQcow2(work.directory, name, fstatSync(file).size, work.rooms.owner, { path, format: 'raw' })
  return { ...overlay(name, 'raw', shared), status: claimStatus(claim, bound) }
}

export const claimStatus = (claim: string, bound: Omit<ClaimPlace, 'path'>) => ({
  persistentVolumeClaimInfo: {
    claimName: claim,
    accessModes: [bound.readOnly ? 'ReadOnlyMany' : 'ReadWriteOnce'],
    capacity: { storage: String(bound.capacityBytes) },
    ...(!bound.isBlock && { filesystemOverhead: String(filesystemOverhead) }),
    volumeMode: bound.isBlock ? 'Block' : 'Filesystem',
  },
})

/** The machine's own copy; writable as a disk, because SATA disks cannot be anything else. */
async function seedDisk(work: Work, name: string, readOnly: boolean, seed: Seed): Promise<Prepared> {
  const path = join(work.directory, name)
  const image = isoImage(seed.label, seed.files, new Date())
  const disk = { format: 'raw', file: name, readOnly, direct: false, ephemeral: true } as const
  // The guest that goes on has this disk mounted: it stays as it was.
  if (work.resuming) return { ...disk, status: { size: statSync(path).size } }
  await writeFile(path, image, { mode: 0o600 })
  const { owner } = work.rooms
  if (owner) await chown(path, owner.uid, owner.gid)
  return { ...disk, status: { size: image.length } }
}

/** The name under which QEMU opens a file that it is given open: no path to walk, no link to follow. */
function handOver(work: Work, file: number, writable: boolean, shareable = false): string {
  work.files.push(file)
  giveTo(file, writable, work.rooms.owner, shareable)
  return `/proc/self/fd/${firstFile + work.files.length - 1}`
}
