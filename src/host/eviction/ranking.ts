// Who goes first when memory is low (pkg/kubelet/eviction/helpers.go rankMemoryPressure, 1.36): who uses more than it asked
// for, then the less important, then who exceeds its request by most. Pure.

import { allContainers, isFinal, type PodObject, wholeUnits } from '../pods/pod.ts'
import type { Usage } from '../stats/usage.ts'

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

export function hungriest(pods: PodObject[], usage: Usage): Candidate[] {
  const parts = new Map(usage.workloads.map(({ uid, parts }) => [uid, parts]))
  const candidates = pods
    .filter((pod) => !isFinal(pod) && !pod.metadata.deletionTimestamp && !isCritical(pod))
    .flatMap((pod): Candidate[] => {
      const measured = parts.get(pod.metadata.uid)
      if (!measured?.length) return []
      const all = measured.map(({ name, workingSetBytes }) => ({
        name,
        used: workingSetBytes,
        request: wholeUnits(allContainers(pod).find((one) => one.name === name)?.resources?.requests?.memory),
      }))
      const sum = (key: 'used' | 'request') => all.reduce((total, one) => total + one[key], 0)
      return [
        { pod, used: sum('used'), request: sum('request'), containers: all.filter((one) => one.used > one.request) },
      ]
    })
  const exceeds = ({ used, request }: Candidate) => used > request
  return candidates.sort(
    (a, b) =>
      Number(exceeds(b)) - Number(exceeds(a)) ||
      (a.pod.spec.priority ?? 0) - (b.pod.spec.priority ?? 0) ||
      b.used - b.request - (a.used - a.request),
  )
}
