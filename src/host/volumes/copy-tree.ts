// A copy of everything in a volume, with owners, modes and holes: its blocks are shared where the file system can (copy on
// write).

import { chmod, chown, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CommandFailed, run } from '../exec.ts'

/** It ends with Tandem: what a former Tandem began does not write into what the next one makes. */
const copy = ['setpriv', '--pdeathsig', 'KILL', '--', 'cp', '-a', '--reflink=auto', '--sparse=always']
const timeoutMs = 6 * 3600_000

export interface CopyOptions {
  signal?: AbortSignal
  /** Somebody works in it: a file that goes before it is reached is not missed. */
  changes?: boolean
  /** A name directly below that is left out. */
  except?: string
}

/** What cp says of a file that has gone, or has become another one, since it was listed. */
const vanished = /: No such file or directory$|as it was replaced while being copied$/

/** Of all that cp said. Pure. */
export const isHarmless = (said: string): boolean =>
  said
    .trim()
    .split('\n')
    .every((line) => vanished.test(line))

/** @throws Error with what cp says; what was copied until then stays */
export async function copyTree(from: string, to: string, options: CopyOptions = {}): Promise<void> {
  const { signal, changes, except } = options
  const argv = except === undefined ? ['--', `${from}/.`, to] : await namesBut(from, except, to)
  if (argv.length === 0) return
  const { code, stderr } = await run([...copy, ...argv], {
    timeoutMs,
    allowFailure: true,
    env: { LC_ALL: 'C' },
    ...(signal && { signal }),
  })
  signal?.throwIfAborted()
  if (code !== 0 && !(changes && code === 1 && isHarmless(stderr))) throw new CommandFailed(['cp', '-a'], code, stderr)
}

async function namesBut(from: string, except: string, to: string): Promise<string[]> {
  const names = (await readdir(from)).filter((name) => name !== except)
  return names.length === 0 ? [] : ['-t', to, '--', ...names.map((name) => join(from, name))]
}

/** A volume is a directory that is there before: it becomes like the one whose entries it got. */
export async function likeRoot(from: string, to: string): Promise<void> {
  const { mode, uid, gid } = await stat(from)
  await chown(to, uid, gid)
  await chmod(to, mode & 0o7777)
}
