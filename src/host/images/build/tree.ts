// Puts the files of a recipe into an image's tree. The tree may hold any symlink, so no path is trusted: every one is
// resolved as if the tree were the root directory.

import {
  chmod,
  chown,
  copyFile,
  lchown,
  lstat,
  mkdir,
  readdir,
  readlink,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import type { PackageFiles } from './package-files.ts'
import { pauseProgram } from './pause-program.ts'
import type { FileEntry } from './recipe.ts'

interface TreeSources {
  /** Folder of the recipe, for `source`. */
  recipeDir: string
  packageFiles: PackageFiles
}

export async function addFiles(root: string, entries: FileEntry[], sources: TreeSources): Promise<void> {
  for (const entry of entries) {
    try {
      await addFile(root, entry, sources)
    } catch (error) {
      throw new Error(`cannot add ${entry.path}: ${(error as Error).message}`, { cause: error })
    }
  }
}

async function addFile(root: string, entry: FileEntry, sources: TreeSources): Promise<void> {
  const target = await resolveInTree(root, entry.path)
  if (entry.directory) {
    await mkdir(target, { recursive: true })
    await own(target, entry, 0o755)
    return
  }
  await mkdir(dirname(target), { recursive: true })
  if (entry.source !== undefined) return addSource(join(sources.recipeDir, entry.source), target, entry)
  await rm(target, { force: true })
  if (entry.symlink !== undefined) {
    await symlink(entry.symlink, target)
    await lchown(target, entry.owner.uid, entry.owner.gid)
  } else if (entry.package !== undefined) {
    const found = await sources.packageFiles.file(entry.package, entry.from ?? entry.path)
    await copyFile(found, target)
    await own(target, entry, (await lstat(found)).mode & 0o777)
    if (entry.applets) await linkApplets(target, entry, await sources.packageFiles.applets(found))
  } else {
    const program = entry.program === 'pause' ? pauseProgram() : undefined
    await writeFile(target, program ?? entry.content ?? '')
    await own(target, entry, program ? 0o755 : 0o644)
  }
}

/** A file, or a folder with everything in it; symlinks inside stay as they are. */
async function addSource(from: string, target: string, entry: FileEntry): Promise<void> {
  const info = await lstat(from)
  if (info.isDirectory()) {
    await mkdir(target, { recursive: true })
    for (const name of (await readdir(from)).sort())
      await addSource(join(from, name), join(target, name), { ...entry, mode: undefined })
    await own(target, entry, 0o755)
  } else if (info.isSymbolicLink()) {
    await rm(target, { force: true })
    await symlink(await readlink(from), target)
  } else {
    await rm(target, { force: true })
    await copyFile(from, target)
    await own(target, entry, info.mode & 0o100 ? 0o755 : 0o644)
  }
}

async function linkApplets(program: string, entry: FileEntry, applets: string[]): Promise<void> {
  const name = posix.basename(entry.path)
  for (const applet of applets) {
    const link = join(dirname(program), applet)
    if (applet === name || (await lstat(link).catch(() => undefined))) continue
    await symlink(name, link)
  }
}

async function own(path: string, entry: FileEntry, mode: number): Promise<void> {
  await chown(path, entry.owner.uid, entry.owner.gid)
  await chmod(path, entry.mode ?? mode)
}

/** The real path of `path` below root, symlinks followed inside the tree; the last part itself is not followed. */
export async function resolveInTree(root: string, path: string): Promise<string> {
  let resolved = '/'
  const rest = posix.normalize(path).split('/').filter(Boolean)
  for (let hops = 0; rest.length > 0; ) {
    const name = rest.shift()!
    const next = posix.join(resolved, name)
    const info = rest.length > 0 ? await lstat(join(root, next)).catch(() => undefined) : undefined
    if (!info?.isSymbolicLink()) {
      resolved = next
      continue
    }
    if (++hops > 40) throw new Error(`too many symlinks in ${path}`)
    const link = await readlink(join(root, next))
    if (link.startsWith('/')) resolved = '/'
    rest.unshift(...posix.normalize(posix.join(resolved, link)).split('/').filter(Boolean))
    resolved = '/'
  }
  return join(root, resolved)
}
