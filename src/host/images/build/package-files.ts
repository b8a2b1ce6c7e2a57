// Single files out of Debian packages, without installing them: for images like busybox-static or a kernel alone.

import { lstat, mkdir, readdir } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { run } from '../../exec.ts'
import type { Apt } from './apt.ts'

export interface PackageFiles {
  /** Path of one file of the package; a glob (*) in the last part of the name may match only one. */
  file(packageName: string, path: string): Promise<string>
  /** The folder that the package, or else the one of its dependencies that holds `path`, is unpacked in. */
  folder(packageName: string, path: string): Promise<string>
  /** What a busybox says it can be called as. */
  applets(program: string): Promise<string[]>
}

export function createPackageFiles(apt: Apt, scratch: string): PackageFiles {
  const unpacked = new Map<string, Promise<string>>()

  const unpack = (packageName: string): Promise<string> => {
    let folder = unpacked.get(packageName)
    if (!folder) {
      folder = unpackPackage(apt, scratch, packageName)
      unpacked.set(packageName, folder)
    }
    return folder
  }

  /** A metapackage (linux-image-cloud-amd64) holds nothing itself: its direct dependencies are searched too. */
  async function locate(packageName: string, path: string): Promise<{ folder: string; file: string }> {
    const own = await match(await unpack(packageName), path)
    if (own) return own
    const stem = packageName
      .replace(/-(amd64|arm64)$/, '')
      .split('-')
      .slice(0, 2)
      .join('-')
    const related = (await apt.dependencies(packageName)).filter((name) => name.startsWith(stem))
    for (const dependency of related) {
      const found = await match(await unpack(dependency), path)
      if (found) return found
    }
    throw new Error(`package ${packageName} has no file ${path}`)
  }

  return {
    file: async (packageName, path) => (await locate(packageName, path)).file,
    folder: async (packageName, path) => (await locate(packageName, path)).folder,
    async applets(program) {
      const { stdout } = await run([program, '--list'])
      return stdout
        .split('\n')
        .filter((name) => /^[a-z0-9[_.-]+$/i.test(name))
        .sort()
    },
  }
}

async function unpackPackage(apt: Apt, scratch: string, packageName: string): Promise<string> {
  const deb = await apt.fetch(packageName)
  const folder = join(scratch, 'packages', packageName)
  await mkdir(folder, { recursive: true })
  await run(['dpkg-deb', '--extract', deb, folder], { timeoutMs: 300_000 })
  return folder
}

async function match(folder: string, path: string): Promise<{ folder: string; file: string } | undefined> {
  const directory = join(folder, posix.dirname(path))
  const escaped = posix
    .basename(path)
    .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
  const pattern = new RegExp(`^${escaped}$`)
  const names = (await readdir(directory).catch(() => [])).filter((name) => pattern.test(name))
  if (names.length === 0) return undefined
  if (names.length > 1) throw new Error(`${path} matches several files: ${names.join(', ')}`)
  const file = join(directory, names[0]!)
  if (!(await lstat(file)).isFile()) throw new Error(`${path} is not a plain file in its package`)
  return { folder, file }
}
