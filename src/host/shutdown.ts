// When the machine goes down its Pods end in order and with time, instead of being killed with everything else: ordinary
// ones first, critical ones last, each with a status that says why (pkg/kubelet/nodeshutdown, 1.36). systemd says that it
// is shutting down; it waits 90 s for Tandem's own end.

import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/log.ts'
import { run } from './exec.ts'
import { graceOf, isFinal, type PodObject } from './pods/pod.ts'
import type { Eviction } from './pods/worker-contract.ts'

export interface ShutdownOptions {
  pods(): PodObject[]
  evict(uid: string, eviction: Eviction): void
  /** Uids of Pods of which something runs. */
  running(): string[]
  clock: Clock
  log: Logger
  /** shutdownGracePeriod and shutdownGracePeriodCriticalPods */
  ordinarySeconds?: number
  criticalSeconds?: number
}

const message = 'Pod was terminated in response to imminent node shutdown.'
const systemCritical = 2_000_000_000
const pollMs = 200
const second = 1000

const isCritical = ({ spec }: PodObject): boolean => (spec.priority ?? 0) >= systemCritical

export async function endPods(options: ShutdownOptions): Promise<void> {
  const { ordinarySeconds = 30, criticalSeconds = 10, log } = options
  log.info('the machine goes down: its Pods end')
  await endThose(options, (pod) => !isCritical(pod), ordinarySeconds)
  await endThose(options, isCritical, criticalSeconds)
}

async function endThose(
  { pods, evict, running, clock }: ShutdownOptions,
  chosen: (pod: PodObject) => boolean,
  seconds: number,
): Promise<void> {
  const ending = pods().filter((pod) => !isFinal(pod) && chosen(pod))
  for (const pod of ending) {
    const graceSeconds = Math.min(graceOf(pod), seconds)
    evict(pod.metadata.uid, { reason: 'Terminated', message, disruption: true, graceSeconds })
  }
  const uids = new Set(ending.map(({ metadata }) => metadata.uid))
  const stillRun = () => running().some((uid) => uids.has(uid))
  for (const end = clock.now() + seconds * second; stillRun() && clock.now() < end; ) await clock.sleep(pollMs)
}

/** Asked only when Tandem itself is told to end. */
export async function machineGoesDown(): Promise<boolean> {
  try {
    const { stdout } = await run(['systemctl', 'is-system-running'], { allowFailure: true, timeoutMs: 2000 })
    return stdout.trim() === 'stopping'
  } catch {
    // No systemd: nobody tells.
    return false
  }
}
