// What this node, its Pods and its machines use, measured when somebody asks. Processor time is a rate: it takes two looks
// at some distance, the first of which may be an earlier answer's.

import type { Clock } from '../../base/clock.ts'
import { type GroupUsage, groupUsage, machineUsage, processUsage } from './cgroup-usage.ts'

/** Something that runs in groups of its own. */
export interface Measurable {
  namespace: string
  name: string
  uid: string
  kind: 'Pod' | 'VirtualMachineInstance'
  labels: Record<string, string>
  startedAt: number
  parts: { name: string; source: Source; id: string; startedAt: number }[]
}

/** A control group, or a process. */
export type Source = { group: string } | { pid: number }

const keyOf = (source: Source): string => ('pid' in source ? `${source.pid}` : source.group)

export interface PartUsage extends GroupUsage {
  name: string
  id: string
  startedAt: number
  /** Billionths of a processor. */
  nanoCores: number
}

export interface WorkloadUsage extends Omit<Measurable, 'parts'> {
  parts: PartUsage[]
}

export interface Usage {
  at: number
  windowMs: number
  node: GroupUsage & { nanoCores: number; availableBytes: number }
  workloads: WorkloadUsage[]
}

interface Sample {
  at: number
  node: ReturnType<typeof machineUsage>
  groups: Map<string, GroupUsage>
}

/** Two looks closer than this say little; the same answer serves all who ask within the time. */
const freshMs = 5_000
const shortestWindowMs = 1_000
/** A look older than this says what was, not what is. */
const longestWindowMs = 120_000

export interface UsageOptions {
  measurables(): Measurable[]
  clock: Clock
  /** For tests. */
  read?: { group: typeof groupUsage; machine: typeof machineUsage }
}

export function createUsage({ measurables, clock, read }: UsageOptions): () => Promise<Usage> {
  const { group: readGroup, machine: readMachine } = read ?? { group: groupUsage, machine: machineUsage }
  let before: Sample | undefined
  let last: Usage | undefined
  let asking: Promise<Usage> | undefined

  function look(): Sample {
    const groups = new Map<string, GroupUsage>()
    for (const { parts } of measurables())
      for (const { source } of parts) {
        const usage = 'pid' in source ? processUsage(source.pid) : readGroup(source.group)
        if (usage) groups.set(keyOf(source), usage)
      }
    return { at: clock.now(), node: readMachine(), groups }
  }

  async function measure(): Promise<Usage> {
    const now = clock.now()
    if (last && now - last.at < freshMs) return last
    let first = before
    if (!first || now - first.at > longestWindowMs) {
      first = look()
      await clock.sleep(shortestWindowMs)
    }
    const second = look()
    before = second
    last = difference(first, second, measurables())
    return last
  }

  return () => {
    asking ??= measure().finally(() => {
      asking = undefined
    })
    return asking
  }
}

function difference(first: Sample, second: Sample, measurables: Measurable[]): Usage {
  const windowMs = Math.max(second.at - first.at, 1)
  const rate = (now: number, then: number | undefined) =>
    then === undefined || now < then ? 0 : Math.round((now - then) * (1000 / windowMs))
  const workloads = measurables.map(({ parts, ...rest }): WorkloadUsage => {
    const measured = parts.flatMap(({ source, ...part }) => {
      const key = keyOf(source)
      const usage = second.groups.get(key)
      return usage ? [{ ...part, ...usage, nanoCores: rate(usage.cpuNanos, first.groups.get(key)?.cpuNanos) }] : []
    })
    return { ...rest, parts: measured }
  })
  const node = { ...second.node, nanoCores: rate(second.node.cpuNanos, first.node.cpuNanos) }
  return { at: second.at, windowMs, node, workloads: workloads.filter(({ parts }) => parts.length > 0) }
}
