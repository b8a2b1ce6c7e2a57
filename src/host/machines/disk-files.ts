// Disk files on this machine: made with explicit formats and under limits, opened without following links, owned by the
// user that QEMU runs as.

import { closeSync, constants, fchmodSync, fchownSync, fstatSync, openSync } from 'node:fs'
import { chown, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../exec.ts'
import type { DiskFormat } from './plan.ts'

export interface Owner {
  uid: number
  gid: number
}

/** Processor seconds and bytes of address space that one qemu-img may take. */
const limits = ['prlimit', '--cpu=30', '--as=2147483648']

/**
 * A new sparse qcow2 file in `directory`; with `backing`, writes on top of it. qemu-img does not open the backing file
 * (-u), and QEMU is told the chain by the command line, not by the header.
 */
export async function createQcow2(
  directory: string,
  name: string,
  size: number,
  owner: Owner | undefined,
  backing?: { path: string; format: DiskFormat },
): Promise<void> {
  const path = join(directory, name)
  await rm(path, { force: true })
  const under = backing ? ['-u', '-b', backing.path, '-F', backing.format] : []
  await run([...limits, 'qemu-img', 'create', '-q', '-f', 'qcow2', ...under, '--', path, String(size)])
  if (owner) await chown(path, owner.uid, owner.gid)
}

/** Opens a regular file for QEMU; a link, device or directory in its place is refused. */
export function openDisk(path: string, writable: boolean): number {
  const flags = (writable ? constants.O_RDWR : constants.O_RDONLY) | constants.O_NOFOLLOW | constants.O_NONBLOCK
  let file: number
  try {
    file = openSync(path, flags)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ELOOP')
      throw new Error(`${path} is a symbolic link; a disk must be a file of its own`, { cause: error })
    throw error
  }
  const stat = fstatSync(file)
  if (stat.isFile() && (!writable || stat.nlink === 1)) return file
  closeSync(file)
  throw new Error(`${path} is not a plain file of its own, so it cannot be a disk`)
}

/** Lets the user of QEMU at an open file: a writable one becomes its own, a shared one readable for all. */
export function giveTo(file: number, writable: boolean, owner: Owner | undefined, shareable = false): void {
  if (!owner) return
  const stat = fstatSync(file)
  if (!writable) {
    if (stat.uid !== owner.uid && !(stat.mode & 0o004)) fchmodSync(file, (stat.mode & 0o7777) | 0o444)
    return
  }
  // The users of several machines open it; none of them sees another way to it.
  if (shareable) {
    fchmodSync(file, 0o666)
    return
  }
  if (stat.uid !== owner.uid) fchownSync(file, owner.uid, owner.gid)
  if ((stat.mode & 0o600) !== 0o600) fchmodSync(file, 0o660)
}

/** Whether the file's storage takes O_DIRECT (tmpfs and some overlays do not). */
export function canBypassCache(file: number): boolean {
  try {
    closeSync(openSync(`/proc/self/fd/${file}`, constants.O_RDONLY | constants.O_DIRECT))
    return true
  } catch {
    return false
  }
}
