// Gives a volume to the Pod's fsGroup, as pkg/volume/volume_linux.go (Kubernetes 1.32) does: the group owns everything,
// may read and write it, and new files inherit the group.

import { chmodSync, lchownSync, lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const groupAccess = 0o660
const directoryAccess = 0o2110
/** Entries between two looks at the event loop: a claim may hold millions of files. */
const batch = 500

function give(path: string, group: number): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (!stat) return false
  if (stat.gid !== group) lchownSync(path, stat.uid, group)
  // A link has no mode of its own, and following it would change files outside of the volume.
  if (stat.isSymbolicLink()) return false
  const mode = (stat.mode & 0o7777) | groupAccess | (stat.isDirectory() ? directoryAccess : 0)
  if ((stat.mode & 0o7777) !== mode) chmodSync(path, mode)
  return stat.isDirectory()
}

/** True when the root of the volume already belongs to the group (fsGroupChangePolicy OnRootMismatch). */
export function rootMatches(path: string, group: number): boolean {
  const { gid, mode } = lstatSync(path)
  const wanted = groupAccess | directoryAccess
  return gid === group && (mode & wanted) === wanted
}

export async function giveToGroup(root: string, group: number): Promise<void> {
  const waiting = [root]
  for (let done = 1; waiting.length > 0; done++) {
    const path = waiting.pop()!
    // The root last of all: it is the mark that everything below is done (see rootMatches).
    if (path !== root && !give(path, group)) continue
    for (const name of readdirSync(path)) waiting.push(join(path, name))
    if (done % batch === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  give(root, group)
}
