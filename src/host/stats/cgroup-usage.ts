// What a control group has used: processor time and memory, cgroup v1 or v2.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface GroupUsage {
  /** Nanoseconds since the group was made. */
  cpuNanos: number
  /** Everything charged to the group, and what of it could not be given back at once. */
  memoryBytes: number
  workingSetBytes: number
  rssBytes: number
  majorFaults: number
  faults: number
}

const root = '/sys/fs/cgroup'
const pageSize = 4096

function read(...path: string[]): string | undefined {
  try {
    return readFileSync(join(root, ...path), 'utf8')
  } catch {
    return undefined
  }
}

const field = (text: string | undefined, name: string): number =>
  Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text ?? '')?.[1] ?? 0)

/** Undefined when the group is gone. */
export function groupUsage(
  group: string,
  unified = existsSync(join(root, 'cgroup.controllers')),
): GroupUsage | undefined {
  return unified ? unifiedUsage(group) : legacyUsage(group)
}

function unifiedUsage(group: string): GroupUsage | undefined {
  const cpu = read(group, 'cpu.stat')
  const memory = read(group, 'memory.current')
  if (cpu === undefined || memory === undefined) return undefined
  const stat = read(group, 'memory.stat')
  const memoryBytes = Number(memory)
  return {
    cpuNanos: field(cpu, 'usage_usec') * 1000,
    memoryBytes,
    workingSetBytes: Math.max(memoryBytes - field(stat, 'inactive_file'), 0),
    rssBytes: field(stat, 'anon'),
    faults: field(stat, 'pgfault'),
    majorFaults: field(stat, 'pgmajfault'),
  }
}

function legacyUsage(group: string): GroupUsage | undefined {
  const cpu = read('cpuacct', group, 'cpuacct.usage')
  const memory = read('memory', group, 'memory.usage_in_bytes')
  if (memory === undefined) return undefined
  const stat = read('memory', group, 'memory.stat')
  const memoryBytes = Number(memory)
  return {
    cpuNanos: Number(cpu ?? 0),
    memoryBytes,
    workingSetBytes: Math.max(memoryBytes - field(stat, 'total_inactive_file'), 0),
    rssBytes: field(stat, 'total_rss'),
    faults: field(stat, 'total_pgfault'),
    majorFaults: field(stat, 'total_pgmajfault'),
  }
}

/** The whole machine. */
export function machineUsage(): GroupUsage & { availableBytes: number } {
  const ticks = /^cpu +(\d+) (\d+) (\d+) \d+ \d+ (\d+) (\d+) (\d+)/m.exec(readFileSync('/proc/stat', 'utf8')) ?? []
  const busy = ticks.slice(1).reduce((sum, text) => sum + Number(text), 0)
  const memory = readFileSync('/proc/meminfo', 'utf8')
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(memory)?.[1] ?? 0) * 1024
  const available = kib('MemAvailable')
  const faults = readFileSync('/proc/vmstat', 'utf8')
  return {
    // USER_HZ is 100 on every Linux that Node runs on.
    cpuNanos: busy * 10_000_000,
    memoryBytes: kib('MemTotal') - kib('MemFree'),
    workingSetBytes: kib('MemTotal') - available,
    rssBytes: kib('AnonPages'),
    faults: field(faults, 'pgfault'),
    majorFaults: field(faults, 'pgmajfault'),
    availableBytes: available,
  }
}

/** One process that has no group of its own to count in (QEMU): its time and what of its memory is resident. */
export function processUsage(pid: number): GroupUsage | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may hold blanks: fields are counted behind it; state is the first of them.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const resident = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * pageSize
    return {
      cpuNanos: (Number(fields[11]) + Number(fields[12])) * 10_000_000,
      memoryBytes: resident,
      workingSetBytes: resident,
      rssBytes: resident,
      faults: Number(fields[7]),
      majorFaults: Number(fields[9]),
    }
  } catch {
    return undefined
  }
}
