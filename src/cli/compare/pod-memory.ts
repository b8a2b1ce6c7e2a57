// What a Pod takes of this machine's memory: all its processes with the shim that holds them, pages that several share in
// parts. QEMU, gVisor's kernel and the servers of files are processes below the shim like any other.

import { readdirSync, readFileSync } from 'node:fs'
import type { ApiObject } from '../../api/meta.ts'

export interface ProcessMemory {
  name: string
  bytes: number
}

interface Process {
  pid: number
  parent: number
  name: string
  /** In which control groups. */
  groups: string
}

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** Those that are there now. */
export function processes(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({
      pid: Number(name),
      groups: read(`/proc/${name}/cgroup`),
      ...parseStat(read(`/proc/${name}/stat`)),
    }))
}

/** The name stands in parentheses and may hold some itself. */
export function parseStat(stat: string): { name: string; parent: number } {
  const end = stat.lastIndexOf(')')
  return { name: stat.slice(stat.indexOf('(') + 1, end), parent: Number(stat.slice(end + 2).split(' ')[1] ?? 0) }
}

/** containerd's and podman's. */
const isShim = ({ name }: Process): boolean => /^(containerd-shim|conmon)/.test(name)

/** Those in a control group with this in its path, and everything below the shim that holds them. Pure. */
export function processesOf(group: string, all: Process[]): Process[] {
  const byPid = new Map(all.map((one) => [one.pid, one]))
  const found = new Set(all.filter(({ groups }) => groups.includes(group)))
  for (const one of [...found]) {
    for (let at = byPid.get(one.parent); at; at = byPid.get(at.parent)) if (isShim(at)) found.add(at)
  }
  for (let before = -1; before !== found.size; ) {
    before = found.size
    for (const one of all) if (found.has(byPid.get(one.parent)!)) found.add(one)
  }
  return [...found]
}

/** Proportional, or all that is resident where the kernel does not tell. */
function memoryOf(pid: number): number {
  const proportional = /^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`))
  const kibibytes = proportional ?? /^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`))
  return Number(kibibytes?.[1] ?? 0) * 1024
}

export const groupMemory = (group: string, all = processes()): ProcessMemory[] =>
  processesOf(group, all).map(({ pid, name }) => ({ name, bytes: memoryOf(pid) }))

/** `containerd://<id>`, of one of its containers: each has a group of that name. */
export const podMemory = ({ status }: ApiObject, all?: Process[]): ProcessMemory[] => {
  const [id = ''] = status?.containerStatuses?.[0]?.containerID?.split('/').slice(-1) ?? []
  return id ? groupMemory(`/${id}`, all) : []
}

export const sum = (parts: ProcessMemory[]): number => parts.reduce((total, { bytes }) => total + bytes, 0)
