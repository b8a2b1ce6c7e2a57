// Requests and limits as cgroup settings. Formulas mirrored from the kubelet (pkg/kubelet/cm/helpers_linux.go and
// pkg/kubelet/qos/policy.go, 1.32).

import { cpuShares } from '../cpu-weight.ts'
import {
  type AnyContainer,
  initContainers,
  isSidecar,
  milliUnits,
  type PodObject,
  qosClass,
  type Resources,
  wholeUnits,
} from './pod.ts'

const period = 100_000
const minQuota = 1000

export interface CgroupLimits {
  cpuShares: number
  cpuPeriod?: number
  cpuQuota?: number
  memoryLimitInBytes?: number
  oomScoreAdj: number
}

/** system-node-critical */
const nodeCritical = 2_000_001_000

/** The kernel kills who has the highest score first (pkg/kubelet/qos/policy.go, 1.36). */
export function oomScoreAdjust(pod: PodObject, container: AnyContainer, nodeMemoryBytes: number): number {
  if ((pod.spec.priority ?? 0) >= nodeCritical) return -997
  const quality = qosClass(pod)
  if (quality === 'Guaranteed') return -997
  if (quality === 'BestEffort') return 1000
  const share = unassigned(pod)
  const scoreOf = (request: number) => 1000 - Math.floor((1000 * (request + share)) / nodeMemoryBytes)
  let score = scoreOf(memoryRequest(container))
  // A sidecar is not killed before those it serves.
  if (isSidecarOf(pod, container)) score = Math.min(score, scoreOf(Math.min(...pod.spec.containers.map(memoryRequest))))
  return Math.min(Math.max(score, 3), 999)
}

const memoryRequest = ({ resources }: AnyContainer): number => wholeUnits(resources?.requests?.memory)

const isSidecarOf = (pod: PodObject, { name }: AnyContainer): boolean =>
  initContainers(pod).some((container) => container.name === name && isSidecar(container))

/** What the Pod asks for beyond its containers, for each of them. */
function unassigned(pod: PodObject): number {
  const whole = pod.spec.resources?.requests?.memory
  if (whole === undefined) return 0
  const holders = [...pod.spec.containers, ...initContainers(pod).filter(isSidecar)]
  const assigned = holders.reduce((total, container) => total + memoryRequest(container), 0)
  return Math.max(Math.floor((wholeUnits(whole) - assigned) / holders.length), 0)
}

export function cgroupLimits(
  pod: PodObject,
  container: AnyContainer,
  nodeMemoryBytes: number,
  given = (container.resources ?? {}) as Resources,
  // A container without a limit of its own may use what the Pod as a whole may.
  bounds = { ...pod.spec.resources?.limits, ...given.limits },
): CgroupLimits {
  const { requests, limits } = given
  const limit = milliUnits(bounds.cpu)
  const shares = cpuShares(requests?.cpu === undefined ? milliUnits(limits?.cpu) : milliUnits(requests.cpu))
  const memory = wholeUnits(bounds.memory)
  return {
    cpuShares: shares,
    ...(limit > 0 && quota(limit)),
    ...(memory > 0 && { memoryLimitInBytes: memory }),
    oomScoreAdj: oomScoreAdjust(pod, container, nodeMemoryBytes),
  }
}

const quota = (milliCpu: number) => ({
  cpuPeriod: period,
  cpuQuota: Math.max(Math.floor((milliCpu * period) / 1000), minQuota),
})

/**
 * A kernel of its own lives in the same group as its container: what the RuntimeClass says that it costs comes on top of
 * the container's limit, so that this stays the container's.
 */
export function withKernel(handler: string, pod: PodObject, limits: CgroupLimits): CgroupLimits {
  const overhead = wholeUnits((pod.spec as { overhead?: Record<string, string> }).overhead?.memory)
  if (handler !== 'runsc' || !limits.memoryLimitInBytes || !overhead) return limits
  return { ...limits, memoryLimitInBytes: limits.memoryLimitInBytes + overhead }
}

/** What all containers of the Pod may use at one time; without a memory limit where one of them has none. */
export function limitsOfAll(pod: PodObject): Omit<CgroupLimits, 'oomScoreAdj'> {
  const whole = pod.spec.resources?.limits
  const of = (container: AnyContainer, name: 'cpu' | 'memory') => {
    const value = container.resources?.limits?.[name] ?? whole?.[name]
    return name === 'cpu' ? milliUnits(value) : wholeUnits(value)
  }
  const together = [...pod.spec.containers, ...initContainers(pod).filter(isSidecar)]
  const sum = (name: 'cpu' | 'memory') => {
    if (!whole?.[name] && together.some((container) => of(container, name) === 0)) return 0
    const all = whole?.[name]
      ? of({ name: '' } as AnyContainer, name)
      : together.reduce((n, one) => n + of(one, name), 0)
    return Math.max(all, ...initContainers(pod).map((one) => of(one, name)))
  }
  const [cpu, memory] = [sum('cpu'), sum('memory')]
  const asked = together.reduce((n, { resources }) => n + milliUnits(resources?.requests?.cpu), 0)
  return { cpuShares: cpuShares(asked), ...(cpu > 0 && quota(cpu)), ...(memory > 0 && { memoryLimitInBytes: memory }) }
}

/** Of the group that holds all containers of a Pod with resources of its own. */
export function podCgroup({ requests, limits }: Resources): Omit<CgroupLimits, 'oomScoreAdj'> {
  const limit = milliUnits(limits?.cpu)
  const memory = wholeUnits(limits?.memory)
  return {
    cpuShares: cpuShares(requests?.cpu === undefined ? limit : milliUnits(requests.cpu)),
    ...(limit > 0 && quota(limit)),
    ...(memory > 0 && { memoryLimitInBytes: memory }),
  }
}
