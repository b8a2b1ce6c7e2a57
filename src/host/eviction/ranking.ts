// Who goes first when memory or disk is low (pkg/kubelet/eviction/helpers.go rankMemoryPressure and rankDiskPressureFunc,
// 1.36): who uses more than it asked for, then the less important, then who exceeds its request by most. Pure.

import { allContainers, isFinal, type PodObject, wholeUnits } from '../pods/pod.ts'
import type { Usage } from '../stats/usage.ts'
import type { LocalUsage } from './local-storage.ts'

export interface Candidate {
  pod: PodObject
  used: number
  request: number
  /** Those that use more than they asked for. */
  containers: { name: string; used: number; request: number }[]
}

/** system-node-critical and static Pods stay: without them there is no node. */
const critical = 2_000_000_000
const isCritical = ({ spec, metadata }: PodObject): boolean =>
  (spec.priority ?? 0) >= critical || metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined

const mayGo = (pod: PodObject): boolean => !isFinal(pod) && !pod.metadata.deletionTimestamp && !isCritical(pod)

interface Part {
  name: string
  used: number
}

/** `besides`: what no container of its own accounts for. */
function candidateOf(pod: PodObject, parts: readonly Part[], resource: string, besides = 0): Candidate {
  const all = parts.map(({ name, used }) => ({
    name,
    used,
    request: wholeUnits(allContainers(pod).find((one) => one.name === name)?.resources?.requests?.[resource]),
  }))
  const sum = (key: 'used' | 'request') => all.reduce((total, one) => total + one[key], 0)
  return {
    pod,
    used: sum('used') + besides,
    request: sum('request'),
    containers: all.filter((one) => one.used > one.request),
  }
}

function ranked(candidates: Candidate[]): Candidate[] {
  const exceeds = ({ used, request }: Candidate) => used > request
  return candidates.sort(
    (a, b) =>
      Number(exceeds(b)) - Number(exceeds(a)) ||
      (a.pod.spec.priority ?? 0) - (b.pod.spec.priority ?? 0) ||
      b.used - b.request - (a.used - a.request),
  )
}

export function hungriest(pods: PodObject[], usage: Usage): Candidate[] {
  const measured = new Map(usage.workloads.map(({ uid, parts }) => [uid, parts]))
  const candidates = pods.filter(mayGo).flatMap((pod) => {
    const parts = measured.get(pod.metadata.uid)
    if (!parts?.length) return []
    const used = parts.map(({ name, workingSetBytes }) => ({ name, used: workingSetBytes }))
    return [candidateOf(pod, used, 'memory')]
  })
  return ranked(candidates)
}

/** Writable layers, logs and empty directories. */
export async function largest(pods: PodObject[], usage: (pod: PodObject) => Promise<LocalUsage>): Promise<Candidate[]> {
  const candidates: Candidate[] = []
  for (const pod of pods.filter(mayGo)) {
    const { containers, volumes } = await usage(pod)
    const parts = [...containers].map(([name, used]) => ({ name, used }))
    const besides = [...volumes.values()].reduce((sum, bytes) => sum + bytes, 0)
    candidates.push(candidateOf(pod, parts, 'ephemeral-storage', besides))
  }
  return ranked(candidates)
}
