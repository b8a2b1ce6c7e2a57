// Directories that a guest mounts by name (virtiofs): claims, and what ConfigMaps, Secrets, service accounts and the
// machine's own object say. For each a virtiofsd, which sees nothing else and is root only in a user namespace of its own.

import { createHash } from 'node:crypto'
import { chownSync, lchownSync, lstatSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { StoredObject } from '../../api/meta.ts'
import type { Volumes } from '../volumes/volumes.ts'
import { type CompanionRooms, startCompanion } from './companion.ts'
import type { Machine } from './machine.ts'
import { option } from './option.ts'
import type { Seed } from './seed.ts'
import type { Sources } from './sources.ts'
import { specOf, type VmiSpec, type Volume } from './vmi.ts'

interface FilesystemRooms extends CompanionRooms {
  volumes: Volumes
  sources: Sources
}

/** Where Debian's qemu-system-common has it. */
const program = '/usr/lib/qemu/virtiofsd'

const socketOf = (index: number) => `fs-${index}.sock`

export const hasFilesystems = (spec: VmiSpec): boolean => Boolean(spec.domain.devices?.filesystems?.length)

/**
 * Whose files those of a claim are: every machine that shares the claim writes as this one, whatever its own user is.
 * Above the users of machines.
 */
const claimUser = (path: string): number =>
  1_080_000 + (createHash('sha256').update(path).digest().readUInt32BE() % 10_000)

export async function startFilesystems(rooms: FilesystemRooms, machine: Machine, object: StoredObject): Promise<void> {
  const spec = specOf(object)
  for (const [index, { name }] of (spec.domain.devices?.filesystems ?? []).entries()) {
    const volume = spec.volumes?.find((one) => one.name === name)
    if (!volume) throw new Error(`filesystem ${name}: there is no volume of this name in spec.volumes`)
    const { path, owner } = await directoryOf(rooms, machine, object, volume, index)
    const user = rooms.user && { ...rooms.user, uid: owner ?? rooms.user.uid }
    const socket = socketOf(index)
    await startCompanion({ ...rooms, user }, machine, {
      name: `virtiofsd-${index}`,
      program,
      package: 'qemu-system-common',
      args: ['-f', `--socket-path=${socket}`, '-o', `source=${user ? '/mnt' : path}`, '--rlimit-nofile=0'],
      socket,
      shown: path,
      ownUserNamespace: true,
    })
    // QEMU is the one who connects.
    if (rooms.user) lchownSync(join(machine.directory, socket), rooms.user.uid, rooms.user.gid)
  }
}

async function directoryOf(
  rooms: FilesystemRooms,
  machine: Machine,
  object: StoredObject,
  volume: Volume,
  index: number,
): Promise<{ path: string; owner?: number }> {
  const claim = volume.persistentVolumeClaim?.claimName ?? volume.dataVolume?.name
  if (!claim) {
    const path = join(machine.directory, `fs-${index}`)
    writeFiles(path, await rooms.sources.files(object, volume), rooms.user?.gid)
    return { path }
  }
  const { path } = await rooms.volumes.claimPath(object.metadata.namespace!, claim)
  const owner = claimUser(path)
  // Nobody's yet: the first guest may write at its top.
  if (rooms.user && lstatSync(path).uid === 0) chownSync(path, owner, -1)
  return { path, owner }
}

/** Files of root's that the machine's group may read: the guest cannot change them. */
function writeFiles(path: string, { files }: Seed, group = -1): void {
  mkdirSync(path, { mode: 0o750 })
  for (const { path: name, content } of files) {
    const file = join(path, name)
    writeFileSync(file, content, { mode: 0o440, flag: 'wx' })
    chownSync(file, -1, group)
  }
  chownSync(path, -1, group)
}

export function filesystemArgs(spec: VmiSpec): string[] {
  return (spec.domain.devices?.filesystems ?? []).flatMap(({ name }, index) => [
    ...['-chardev', option('socket', { id: `fs${index}`, path: socketOf(index) })],
    ...['-device', option('vhost-user-fs-pci', { id: `fs${index}-device`, chardev: `fs${index}`, tag: name })],
  ])
}
