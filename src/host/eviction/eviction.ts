// The node protects itself: when memory or disk run low it ends Pods, the least deserving first, and says so in its
// conditions; and it ends Pods that use more local storage than they said. Thresholds, order and texts mirrored from the
// kubelet (pkg/kubelet/eviction, 1.36).

import type { Clock, Timer } from '../../base/clock.ts'
import type { Logger } from '../../base/log.ts'
import type { NodeCondition } from '../node.ts'
import type { PodObject } from '../pods/pod.ts'
import type { Eviction } from '../pods/worker-contract.ts'
import type { Usage } from '../stats/usage.ts'
import { hasStorageLimits, type LocalUsage, overLimit } from './local-storage.ts'
import { hungriest } from './ranking.ts'

/** What is left of the machine. */
export interface Signals {
  memoryAvailable: number
  diskAvailable: number
  diskCapacity: number
}

export interface EvictionOptions {
  pods(): PodObject[]
  usage(): Promise<Usage>
  localUsage(pod: PodObject): Promise<LocalUsage>
  evict(uid: string, eviction: Eviction): void
  signals(): Signals
  /** The node's conditions are to be told at once. */
  changed(): void
  clock: Clock
  log: Logger
}

export interface EvictionManager {
  start(): void
  conditions(): NodeCondition[]
  stop(): void
}

/** kubelet: evictionHard memory.available, nodefs.available; evictionPressureTransitionPeriod */
export const memoryThreshold = 100 * 1024 * 1024
export const diskThreshold = 0.1
const lookMs = 10_000
const calmMs = 300_000

type Pressure = (typeof kinds)[number]

const kinds = ['MemoryPressure', 'DiskPressure'] as const

const reasons = {
  MemoryPressure: {
    yes: ['KubeletHasInsufficientMemory', 'kubelet has insufficient memory available'],
    no: ['KubeletHasSufficientMemory', 'kubelet has sufficient memory available'],
  },
  DiskPressure: {
    yes: ['KubeletHasDiskPressure', 'kubelet has disk pressure'],
    no: ['KubeletHasNoDiskPressure', 'kubelet has no disk pressure'],
  },
} as const

export function createEviction(options: EvictionOptions): EvictionManager {
  const { clock, log } = options
  /** When a threshold was last met. */
  const metAt = new Map<Pressure, number>()
  let timer: Timer | undefined
  let stopped = false
  /** Which pressures the node's conditions tell of. */
  let told = kinds.map(() => false).join()

  const isUnder = (pressure: Pressure) => clock.now() - (metAt.get(pressure) ?? Number.NEGATIVE_INFINITY) < calmMs

  async function relieve(): Promise<void> {
    const { memoryAvailable, diskAvailable, diskCapacity } = options.signals()
    const lowMemory = memoryAvailable < memoryThreshold
    const lowDisk = diskCapacity > 0 && diskAvailable / diskCapacity < diskThreshold
    if (lowMemory) metAt.set('MemoryPressure', clock.now())
    if (lowDisk) metAt.set('DiskPressure', clock.now())
    const now = kinds.map(isUnder).join()
    if (now !== told) options.changed()
    told = now
    if (lowMemory) await endHungriest(memoryAvailable)
    // Removing Pods frees little of a disk that images and machines fill: the condition keeps new ones away.
    if (lowDisk) log.warn('the disk is nearly full', { available: diskAvailable, capacity: diskCapacity })
  }

  async function endHungriest(available: number): Promise<void> {
    const [victim] = hungriest(options.pods(), await options.usage())
    if (!victim) return
    const detail = victim.containers.map(
      ({ name, used, request }) =>
        `Container ${name} was using ${mebibytes(used)}, request is ${mebibytes(request)}, has larger consumption of memory. `,
    )
    const message = `The node was low on resource: memory. Threshold quantity: ${mebibytes(memoryThreshold)}, available: ${mebibytes(available)}. ${detail.join('')}`
    log.warn('memory is low; a Pod is ended', { pod: victim.pod.metadata.name, available })
    options.evict(victim.pod.metadata.uid, { reason: 'Evicted', message, disruption: true, graceSeconds: 0 })
  }

  async function checkStorage(): Promise<void> {
    for (const pod of options.pods()) {
      if (!hasStorageLimits(pod)) continue
      const message = overLimit(pod, await options.localUsage(pod))
      if (message) options.evict(pod.metadata.uid, { reason: 'Evicted', message, graceSeconds: 1 })
    }
  }

  function schedule(): void {
    timer = clock.after(lookMs, () => {
      void Promise.allSettled([relieve(), checkStorage()]).then((results) => {
        for (const result of results)
          if (result.status === 'rejected') log.warn('cannot look after the node', { error: result.reason })
        if (!stopped) schedule()
      })
    })
  }

  return {
    start: schedule,
    conditions: () =>
      kinds.map((type) => {
        const [reason, message] = reasons[type][isUnder(type) ? 'yes' : 'no']
        return { type, status: isUnder(type) ? 'True' : 'False', reason, message }
      }),
    stop() {
      stopped = true
      timer?.cancel()
    },
  }
}

const mebibytes = (bytes: number): string => `${Math.floor(bytes / 1024)}Ki`
