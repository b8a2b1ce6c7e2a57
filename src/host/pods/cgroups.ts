// Control groups of containers, named by their ids below one group of this Tandem. runc makes and removes them. The
// kernel refuses to remove a group that somebody is in.

import { readFile, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { directoriesIn } from './directories.ts'

const root = '/sys/fs/cgroup'

/** The group in each hierarchy: one in v2, one for each controller in v1. */
async function hierarchies(group: string): Promise<string[]> {
  const controllers = await directoriesIn(root)
  return ['', ...controllers].map((controller) => join(root, controller, group))
}

/** The groups directly below. */
export async function cgroupsOf(group: string): Promise<{ id: string; path: string }[]> {
  const found = await Promise.all(
    (await hierarchies(group)).map(async (path) =>
      (await directoriesIn(path)).map((id) => ({ id, path: join(path, id) })),
    ),
  )
  return found.flat()
}

/** The whole group in all hierarchies, as far as nobody is in it. */
export async function removeCgroups(group: string): Promise<void> {
  for (const path of await hierarchies(group)) await removeTree(path)
}

/** Innermost first. */
export async function removeTree(path: string): Promise<void> {
  for (const name of await directoriesIn(path)) await removeTree(join(path, name))
  await rmdir(path).catch(() => {})
}

export async function processesIn(path: string): Promise<number[]> {
  const text = await readFile(join(path, 'cgroup.procs'), 'utf8').catch(() => '')
  return text.split('\n').filter(Boolean).map(Number)
}
