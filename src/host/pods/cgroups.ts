// Control groups of containers, named by their ids below one group of this Tandem. runc makes and removes them. The
// kernel refuses to remove a group that somebody is in.

import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isUnified, weightFile } from '../cpu-weight.ts'
import { directoriesIn } from './directories.ts'

const root = '/sys/fs/cgroup'

export interface GroupLimits {
  cpuShares: number
  cpuPeriod?: number
  cpuQuota?: number
  memoryLimitInBytes?: number
}

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

/** Makes a group and sets what all in it may use together. Pure amounts: resources.ts. */
export async function limitGroup(group: string, limits: GroupLimits): Promise<void> {
  const { cpuShares, cpuPeriod = 100_000, cpuQuota, memoryLimitInBytes } = limits
  const set = (controller: string, file: string, value: string | number) =>
    writeFile(join(root, controller, group, file), `${value}`)
  const { file, value } = weightFile(cpuShares)
  if (isUnified()) {
    await mkdir(join(root, group), { recursive: true })
    await set('', file, value)
    await set('', 'cpu.max', `${cpuQuota ?? 'max'} ${cpuPeriod}`)
    await set('', 'memory.max', memoryLimitInBytes ?? 'max')
    return
  }
  for (const controller of ['cpu', 'memory']) await mkdir(join(root, controller, group), { recursive: true })
  await set('cpu', file, value)
  await set('cpu', 'cpu.cfs_period_us', cpuPeriod)
  await set('cpu', 'cpu.cfs_quota_us', cpuQuota ?? -1)
  await limitMemory(join(root, 'memory', group), memoryLimitInBytes ?? -1)
}

/** Of memory and swap together, which runsc sets, too: never below that of memory alone. */
async function limitMemory(path: string, limit: number): Promise<void> {
  const both = join(path, 'memory.memsw.limit_in_bytes')
  const unlimited = 2 ** 62
  const before = Number(await readFile(both, 'utf8').catch(() => unlimited))
  const raises = limit < 0 || limit > before
  if (before < unlimited && raises) await writeFile(both, `${limit}`)
  await writeFile(join(path, 'memory.limit_in_bytes'), `${limit}`)
  if (before < unlimited && !raises) await writeFile(both, `${limit}`)
}

/** Bytes that the group holds in memory; undefined when it is gone. */
export async function memoryUsed(group: string): Promise<number | undefined> {
  const path = isUnified() ? join(root, group, 'memory.current') : join(root, 'memory', group, 'memory.usage_in_bytes')
  const text = await readFile(path, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : Number(text)
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
