// Memory of huge pages: the machine's administrator reserves them, and a guest waits until there are enough.

import { readFileSync } from 'node:fs'
import { quantity } from './resources.ts'
import type { VmiSpec } from './vmi.ts'
import { Waiting } from './waiting.ts'

/** @throws Waiting while too few of the size are free */
export function requireHugePages({ domain }: VmiSpec, memoryBytes: number): void {
  const size = domain.memory?.hugepages?.pageSize
  if (size === undefined) return
  const page = quantity(size)
  const folder = `/sys/kernel/mm/hugepages/hugepages-${page / 1024}kB`
  const free = numberIn(`${folder}/free_hugepages`)
  const wanted = Math.ceil(memoryBytes / page)
  if (free !== undefined && free >= wanted) return
  throw new Waiting(
    'Unschedulable',
    free === undefined
      ? `0/1 nodes are available: 1 Insufficient hugepages-${size}. This machine has no huge pages of that size`
      : `0/1 nodes are available: 1 Insufficient hugepages-${size}. The guest wants ${wanted} and ${free} are free: write a larger number to ${folder}/nr_hugepages`,
  )
}

function numberIn(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}
