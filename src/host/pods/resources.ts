// Requests and limits as cgroup settings. Formulas mirrored from the kubelet (pkg/kubelet/cm/helpers_linux.go and
// pkg/kubelet/qos/policy.go, 1.32).

import { type AnyContainer, milliUnits, type PodObject, qosClass, wholeUnits } from './pod.ts'

const period = 100_000
const minQuota = 1000
const minShares = 2
const maxShares = 262_144

export interface CgroupLimits {
  cpuShares: number
  cpuPeriod?: number
  cpuQuota?: number
  memoryLimitInBytes?: number
  oomScoreAdj: number
}

export function cpuShares(milliCpu: number): number {
  if (milliCpu === 0) return minShares
  return Math.min(Math.max(Math.floor((milliCpu * 1024) / 1000), minShares), maxShares)
}

/** The kernel kills who has the highest score first. */
export function oomScoreAdjust(pod: PodObject, container: AnyContainer, nodeMemoryBytes: number): number {
  const critical = (pod.spec.priority ?? 0) >= 2_000_000_000
  if (critical) return -997
  switch (qosClass(pod)) {
    case 'Guaranteed':
      return -997
    case 'BestEffort':
      return 1000
    default: {
      const request = wholeUnits(container.resources?.requests?.memory)
      const score = 1000 - Math.floor((1000 * request) / nodeMemoryBytes)
      return Math.min(Math.max(score, 3), 999)
    }
  }
}

export function cgroupLimits(pod: PodObject, container: AnyContainer, nodeMemoryBytes: number): CgroupLimits {
  const { requests, limits } = container.resources ?? {}
  const limit = milliUnits(limits?.cpu)
  const shares = cpuShares(requests?.cpu === undefined ? limit : milliUnits(requests.cpu))
  const memory = wholeUnits(limits?.memory)
  return {
    cpuShares: shares,
    ...(limit > 0 && { cpuPeriod: period, cpuQuota: Math.max(Math.floor((limit * period) / 1000), minQuota) }),
    ...(memory > 0 && { memoryLimitInBytes: memory }),
    oomScoreAdj: oomScoreAdjust(pod, container, nodeMemoryBytes),
  }
}
