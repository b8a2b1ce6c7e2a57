// Which thread of QEMU does a disk's input and output (spec.domain.ioThreadsPolicy and dedicatedIOThread). Rules: KubeVirt
// 1.9 (virtwrap/converter/iothreads); QEMU 7.2 gives a disk one thread, so that a pool is shared in turn.

import { option } from './option.ts'
import type { MachinePlan, PreparedDisk } from './plan.ts'
import { vcpus } from './resources.ts'
import { busOf } from './vmi.ts'

export interface IoThreads {
  args: string[]
  of(prepared: PreparedDisk): string | undefined
}

export function ioThreads({ spec, disks, topology }: MachinePlan): IoThreads {
  const { ioThreadsPolicy: policy, ioThreads: given } = spec.domain
  const able = disks.filter(({ disk }) => busOf(disk) === 'virtio')
  const dedicated = able.filter(({ disk }) => disk.dedicatedIOThread)
  const others = policy ? able.filter(({ disk }) => !disk.dedicatedIOThread) : []
  const limit = 2 * vcpus(topology)
  const pool =
    policy === 'supplementalPool'
      ? (given?.supplementalPoolThreadCount ?? 1)
      : policy === 'auto'
        ? Math.max(1, Math.min(others.length, limit - dedicated.length))
        : 1
  const names = new Map<PreparedDisk, string>()
  for (const prepared of dedicated) names.set(prepared, `disk${disks.indexOf(prepared)}-thread`)
  others.forEach((prepared, index) => {
    names.set(prepared, `io-thread${index % pool}`)
  })
  const args = [...new Set(names.values())].flatMap((id) => ['-object', option('iothread', { id })])
  return { args, of: (prepared) => names.get(prepared) }
}
