// What a machine keeps beside its disks over restarts: UEFI's variables and the memory of its TPM, in a directory of the
// VirtualMachine (or of an instance without one). KubeVirt keeps them in a PersistentVolumeClaim of its own.

import {
  chownSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
} from 'node:fs'
import { join } from 'node:path'
import type { StoredObject } from '../../api/meta.ts'
import type { InformerFactory } from '../../client/informer.ts'
import type { StatePaths } from '../state.ts'
import type { Owner } from './disk-files.ts'
import { ownerOf } from './saved-states.ts'

type Root = Pick<StatePaths, 'persistent'>

/** Whose state it is: the VirtualMachine's, which outlives its instances. */
export function stateDirectory({ persistent }: Root, machine: StoredObject): string {
  const directory = join(persistent, ownerOf(machine) ?? machine.metadata.uid)
  // The processes of machines may walk through, each to what is its own.
  for (const path of [persistent, directory]) mkdirSync(path, { recursive: true, mode: 0o711 })
  return directory
}

/** A directory below it for one process, open as a descriptor, whose files belong to its user from now on. */
export function openStateDirectory(path: string, owner: Owner | undefined): number {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  const directory = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  if (!owner) return directory
  for (const name of readdirSync(path)) {
    const file = openSync(join(path, name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    if (fstatSync(file).isFile() && fstatSync(file).nlink === 1)
      chownSync(`/proc/self/fd/${file}`, owner.uid, owner.gid)
    closeSync(file)
  }
  chownSync(`/proc/self/fd/${directory}`, owner.uid, owner.gid)
  return directory
}

/** The state goes with its machine: now, for deletes that nobody saw, and at each delete. */
export async function keepPersistentStates(options: { informers: InformerFactory; paths: Root }): Promise<void> {
  const { persistent } = options.paths
  const forget = (uid: string) => rmSync(join(persistent, uid), { recursive: true, force: true })
  const lists = ['virtualmachines', 'virtualmachineinstances'].map((resource) =>
    options.informers.informer({ group: 'kubevirt.io', version: 'v1', resource }),
  )
  await Promise.all(lists.map((informer) => informer.synced()))
  const uids = new Set(lists.flatMap((informer) => informer.list()).map(({ metadata }) => metadata.uid))
  if (existsSync(persistent)) for (const uid of readdirSync(persistent)) if (!uids.has(uid)) forget(uid)
  for (const informer of lists) informer.addHandler({ changed: () => {}, removed: (last) => forget(last.metadata.uid) })
}
