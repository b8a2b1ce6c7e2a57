// Limits of one QEMU process by cgroup, v1 or v2: memory, processors and number of tasks. A machine without usable
// controllers runs without limits.

import { existsSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isUnified, makeGroup, weighAsParts, weightFile } from '../cpu-weight.ts'

export interface CgroupLimits {
  memoryBytes: number
  /** Processors; absent: as many as there are. */
  cpus?: number
  tasks: number
  /** Beside other machines and Pods, when there is too little processor time for all. */
  cpuShares: number
}

const root = '/sys/fs/cgroup'
const period = 100_000

/** Puts the process (and all its threads) under limits. Returns what could not be done, for the log. */
export function confine(instance: string, uid: string, pid: number, limits: CgroupLimits): string[] {
  const problems: string[] = []
  const attempt = (what: string, action: () => void) => {
    try {
      action()
    } catch (error) {
      problems.push(`${what}: ${(error as Error).message}`)
    }
  }
  const quota = limits.cpus === undefined ? undefined : Math.max(1000, Math.round(limits.cpus * period))
  for (const directory of directories(instance, uid)) {
    attempt(directory.path, () => {
      makeGroup(directory.base, directory.path, directory.unified)
      const write = (file: string, value: string | number) => writeFileSync(join(directory.path, file), String(value))
      if (directory.unified) {
        attempt('memory.max', () => write('memory.max', limits.memoryBytes))
        attempt('pids.max', () => write('pids.max', limits.tasks))
        if (quota) attempt('cpu.max', () => write('cpu.max', `${quota} ${period}`))
        attempt('cpu.weight', () => weighMachine(directory.path, limits.cpuShares))
      } else if (directory.controller === 'memory') write('memory.limit_in_bytes', limits.memoryBytes)
      else if (directory.controller === 'pids') write('pids.max', limits.tasks)
      else {
        if (quota) write('cpu.cfs_period_us', period)
        if (quota) write('cpu.cfs_quota_us', quota)
        attempt('cpu.shares', () => weighMachine(directory.path, limits.cpuShares))
      }
      write('cgroup.procs', pid)
    })
  }
  return problems
}

/** All machines together weigh what each asks for, as Pods do, which lie directly beside them. */
function weighMachine(path: string, shares: number): void {
  const { file, value } = weightFile(shares)
  writeFileSync(join(path, file), `${value}`)
  weighAsParts(dirname(path))
}

/** Puts a further process into the machine's groups. */
export function addToGroup(instance: string, uid: string, pid: number): string[] {
  const problems: string[] = []
  for (const { path } of directories(instance, uid)) {
    try {
      writeFileSync(join(path, 'cgroup.procs'), String(pid))
    } catch (error) {
      problems.push(`${path}: ${(error as Error).message}`)
    }
  }
  return problems
}

/** Removes the machine's groups, and the instance's when it was the last one. Idempotent. */
export async function unconfine(instance: string, uid: string): Promise<void> {
  for (const { path } of directories(instance, uid)) {
    // A process that ended stays in its group until its parent has collected it.
    for (let tries = 0; !removed(path) && tries < 50; tries++) await new Promise((resolve) => setTimeout(resolve, 20))
    for (const above of [join(path, '..'), join(path, '../..')]) removed(above)
    weighAsParts(dirname(path))
  }
}

/** False while somebody is in it. */
function removed(path: string): boolean {
  try {
    rmdirSync(path)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'EBUSY'
  }
}

/** True when the kernel killed a task of the machine for want of memory. */
export function outOfMemory(instance: string, uid: string): boolean {
  return directories(instance, uid).some(({ path }) =>
    ['memory.events', 'memory.oom_control'].some((file) => {
      try {
        return /^oom_kill [1-9]/m.test(readFileSync(join(path, file), 'utf8'))
      } catch {
        return false
      }
    }),
  )
}

function directories(instance: string, uid: string) {
  const below = `tandem-${instance}/machines/${uid}`
  if (isUnified()) return [{ base: root, path: join(root, below), unified: true, controller: '' }]
  return ['memory', 'cpu', 'pids']
    .filter((controller) => existsSync(join(root, controller, 'cgroup.procs')))
    .map((controller) => ({
      base: join(root, controller),
      path: join(root, controller, below),
      unified: false,
      controller,
    }))
}
