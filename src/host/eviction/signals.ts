// How much memory and disk this machine has left.

import { readFileSync, statfsSync } from 'node:fs'
import type { Signals } from './eviction.ts'

export function signalsOf(stateDir: string): Signals {
  const { bavail, blocks, bsize, files, ffree } = statfsSync(stateDir)
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]
  return {
    memoryAvailable: available === undefined ? Number.POSITIVE_INFINITY : Number(available) * 1024,
    diskAvailable: bavail * bsize,
    diskCapacity: blocks * bsize,
    inodesFree: ffree,
    inodes: files,
  }
}
