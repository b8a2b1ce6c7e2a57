// The node protects itself: when memory or disk run low it makes room and ends Pods, the least deserving first, and says so
// in its conditions; and it ends Pods that use more local storage than they said. Thresholds, order and texts mirrored from the
// kubelet (pkg/kubelet/eviction, 1.36).

import type { Clock, Timer } from '../../base/clock.ts'
import type { Logger } from '../../base/log.ts'
import type { NodeCondition } from '../node.ts'
import type { PodObject } from '../pods/pod.ts'
import type { Eviction } from '../pods/worker-contract.ts'
import type { Usage } from '../stats/usage.ts'
import { hasStorageLimits, type LocalUsage, overLimit } from './local-storage.ts'
import { type Candidate, hungriest, largest } from './ranking.ts'

/** What is left of the machine. */
export interface Signals {
  memoryAvailable: number
  diskAvailable: number
  diskCapacity: number
  /** Both 0 where the file system counts none. */
  inodesFree: number
  inodes: number
}

export interface EvictionOptions {
  pods(): PodObject[]
  usage(): Promise<Usage>
  localUsage(pod: PodObject): Promise<LocalUsage>
  evict(uid: string, eviction: Eviction): void
  signals(): Signals
  /** Removes what nobody uses from the disk: dead containers, images. Images, writable layers and volumes are on one disk. */
  makeRoom(): Promise<void>
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

/** kubelet: evictionHard memory.available, nodefs.available, nodefs.inodesFree; evictionPressureTransitionPeriod */
export const memoryThreshold = 100 * 1024 * 1024
export const diskThreshold = 0.1
export const inodesThreshold = 0.05
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
    const signals = options.signals()
    const { memoryAvailable } = signals
    const lowMemory = memoryAvailable < memoryThreshold
    const short = shortage(signals)
    if (lowMemory) metAt.set('MemoryPressure', clock.now())
    if (short) metAt.set('DiskPressure', clock.now())
    const now = kinds.map(isUnder).join()
    if (now !== told) options.changed()
    told = now
    if (lowMemory) {
      const [victim] = hungriest(options.pods(), await options.usage())
      const numbers = { threshold: kibibytes(memoryThreshold), available: kibibytes(memoryAvailable) }
      if (victim) end(victim, { resource: 'memory', ...numbers })
    } else if (short) await relieveDisk(short)
  }

  async function relieveDisk(before: Shortage): Promise<void> {
    log.warn('the disk is nearly full; what nobody uses is removed', { ...before })
    await options.makeRoom()
    const short = shortage(options.signals())
    if (!short) return
    const [victim] = await largest(options.pods(), options.localUsage)
    if (victim) end(victim, short)
  }

  function end({ pod, containers }: Candidate, { resource, threshold, available }: Shortage): void {
    const detail = containers.map(
      ({ name, used, request }) =>
        `Container ${name} was using ${kibibytes(used)}, request is ${kibibytes(request)}, has larger consumption of ${resource}. `,
    )
    const message = `The node was low on resource: ${resource}. Threshold quantity: ${threshold}, available: ${available}. ${detail.join('')}`
    log.warn('the node is short of something; a Pod is ended', { pod: pod.metadata.name, resource, available })
    options.evict(pod.metadata.uid, { reason: 'Evicted', message, disruption: true, graceSeconds: 0 })
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

const kibibytes = (bytes: number): string => (bytes === 0 ? '0' : `${Math.floor(bytes / 1024)}Ki`)

interface Shortage {
  resource: string
  threshold: string
  available: string
}

/** What the disk lacks. Pods are ranked by their bytes in both cases: nobody counts their files. */
function shortage({ diskAvailable, diskCapacity, inodes, inodesFree }: Signals): Shortage | undefined {
  if (diskAvailable < diskCapacity * diskThreshold)
    return {
      resource: 'ephemeral-storage',
      threshold: kibibytes(diskCapacity * diskThreshold),
      available: kibibytes(diskAvailable),
    }
  if (inodesFree < inodes * inodesThreshold)
    return { resource: 'inodes', threshold: `${Math.floor(inodes * inodesThreshold)}`, available: `${inodesFree}` }
  return undefined
}
