// The guest's memory as QEMU options: plain by default; an object of its own where other processes share it (virtiofs),
// where it is of huge pages, or where it is spread over the machine's NUMA nodes.

import { hasFilesystems } from './filesystems.ts'
import { Inexpressible, option } from './option.ts'
import type { MachinePlan } from './plan.ts'
import { quantity } from './resources.ts'

export interface NumaNode {
  /** Number of the machine's own node that this one is. */
  hostNode: number
  /** Numbers of the guest's processors. */
  cpus: number[]
}

/** QEMU's own name for the memory of both machine types: a state fits with and without an object for it. */
const plainName = 'pc.ram'

/** Value of -machine's memory-backend, and what it names. */
export function memoryBackend(plan: MachinePlan): string | undefined {
  if (plan.memory) return plainName
  return plan.numa ? undefined : needsObject(plan) ? 'ram0' : undefined
}

export function memoryArgs(plan: MachinePlan): string[] {
  if (plan.memory) return ['-object', mappedBackend(plan.memory, plan.memoryBytes)]
  if (!plan.numa) return needsObject(plan) ? ['-object', backend(plan, 'ram0', plan.memoryBytes)] : []
  const { numa, memoryBytes } = plan
  const page = pageBytes(plan) ?? 1024 * 1024
  const share = Math.floor(memoryBytes / numa.length / page) * page
  return numa.flatMap(({ hostNode, cpus }, index) => {
    const size = index === 0 ? memoryBytes - share * (numa.length - 1) : share
    return [
      ...['-object', backend(plan, `ram${index}`, size, hostNode)],
      ...['-numa', option('node', { nodeid: index, memdev: `ram${index}` })],
      ...cpus.flatMap((cpu) => ['-numa', option('cpu', { 'node-id': index, ...placeOf(plan, cpu) })]),
    ]
  })
}

const mappedBackend = ({ file, shared }: { file: string; shared: boolean }, bytes: number): string =>
  option('memory-backend-file', { id: plainName, size: `${bytes / 1024}k`, 'mem-path': file, share: shared })

const needsObject = (plan: MachinePlan): boolean => hasFilesystems(plan.spec) || pageBytes(plan) !== undefined

export const pageBytes = ({ spec }: Pick<MachinePlan, 'spec'>): number | undefined => {
  const size = spec.domain.memory?.hugepages?.pageSize
  return size === undefined ? undefined : quantity(size)
}

function backend(plan: MachinePlan, id: string, bytes: number, hostNode?: number): string {
  const page = pageBytes(plan)
  if (page && bytes % page)
    throw new Inexpressible(`spec.domain.memory: ${bytes} bytes are not a multiple of the huge page size of ${page}`)
  return option('memory-backend-memfd', {
    id,
    size: `${bytes / 1024}k`,
    share: hasFilesystems(plan.spec),
    ...(page && { hugetlb: true, hugetlbsize: `${page / 1024}k`, prealloc: true }),
    ...(hostNode !== undefined && { 'host-nodes': String(hostNode), policy: 'bind' }),
  })
}

/** A processor by its place: threads count fastest, then cores. */
function placeOf({ topology }: MachinePlan, cpu: number) {
  const { cores, threads } = topology
  return {
    'socket-id': Math.floor(cpu / (cores * threads)),
    'core-id': Math.floor(cpu / threads) % cores,
    'thread-id': cpu % threads,
  }
}
