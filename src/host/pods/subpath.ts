// subPath of a volume mount, safe against a container that swaps a directory for a symbolic link while we look
// (CVE-2021-25741): the path is walked without following links, and what was opened is mounted by its file descriptor.

import {
  chmod,
  constants,
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  realpath,
  rm,
  rmdir,
  stat,
  writeFile,
} from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { run } from '../exec.ts'
import { ContainerProblem } from './pod.ts'

/** O_PATH is missing from Node's constants (Linux: 010000000). */
const openPath = 0o10000000

const problem = (message: string, cause?: unknown) =>
  new ContainerProblem('CreateContainerConfigError', message, { cause })

/** @throws ContainerProblem */
export function checkSubPath(subPath: string): string {
  if (subPath.startsWith('/')) throw problem(`subPath must not be an absolute path: "${subPath}"`)
  if (subPath.split('/').includes('..')) throw problem(`subPath must not contain "..": "${subPath}"`)
  return subPath
}

/** Opens `path` below `root`; every step must be no symbolic link. Missing directories are made. */
async function openBelow(root: string, path: string): Promise<FileHandle> {
  let at = await open(root, openPath)
  const mode = (await at.stat()).mode & 0o7777
  try {
    for (const step of path.split(sep).filter((part) => part && part !== '.')) {
      const name = `/proc/self/fd/${at.fd}/${step}`
      const next = await openStep(name, mode)
      await at.close()
      at = next
    }
    return at
  } catch (error) {
    await at.close()
    throw error
  }
}

/** A directory that is missing is made with the volume's own mode, so that who may write there may write here. */
async function openStep(name: string, mode: number): Promise<FileHandle> {
  const flags = openPath | constants.O_NOFOLLOW
  const handle = await open(name, flags).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    await mkdir(name, mode)
    const made = await open(name, flags | constants.O_DIRECTORY)
    await chmod(`/proc/self/fd/${made.fd}`, mode)
    return made
  })
  if ((await handle.stat()).isSymbolicLink()) {
    await handle.close()
    throw new Error('the path changed to a symbolic link while it was opened')
  }
  return handle
}

/** Links inside the volume are followed as long as they stay inside; the part that does not exist yet stays as written. */
async function resolveInside(root: string, subPath: string): Promise<string> {
  const base = await realpath(root)
  const parts = subPath.split('/').filter((part) => part && part !== '.')
  for (let count = parts.length; count >= 0; count--) {
    const existing = await realpath(join(base, ...parts.slice(0, count))).catch(() => undefined)
    if (existing === undefined) continue
    const inside = relative(base, existing)
    if (inside === '..' || inside.startsWith(`..${sep}`)) throw problem(`subPath "${subPath}" leads out of its volume`)
    return join(inside, ...parts.slice(count))
  }
  return subPath
}

/**
 * Binds volume/subPath to `target` (made as a file or a directory, like the source) and returns `target`.
 * @throws ContainerProblem
 */
export async function bindSubPath(volume: string, subPath: string, target: string): Promise<string> {
  await unbind(target)
  try {
    const base = await realpath(volume)
    const handle = await openBelow(base, await resolveInside(base, checkSubPath(subPath)))
    try {
      const source = `/proc/${process.pid}/fd/${handle.fd}`
      await mkdir(join(target, '..'), { recursive: true, mode: 0o750 })
      if ((await handle.stat()).isDirectory()) await mkdir(target, { recursive: true })
      else await writeFile(target, '')
      await run(['mount', '--no-canonicalize', '--bind', source, target])
    } finally {
      await handle.close()
    }
    return target
  } catch (error) {
    if (error instanceof ContainerProblem) throw error
    throw problem(`failed to prepare subPath for volumeMount: ${(error as Error).message}`, error)
  }
}

async function unbind(target: string): Promise<void> {
  const found = await lstat(target).catch(() => undefined)
  if (!found) return
  await run(['umount', '--lazy', target], { allowFailure: true })
  if ((await stat(target)).isDirectory()) await rmdir(target)
  else await rm(target)
}

/** All binds of a Pod: `root`/<container>/<index>. */
export async function unbindAll(root: string): Promise<void> {
  for (const container of await readdir(root).catch(() => [])) {
    for (const index of await readdir(join(root, container))) await unbind(join(root, container, index))
    await rmdir(join(root, container))
  }
  await rmdir(root).catch(() => {})
}
