// PodStatus from what is known about a Pod. Pure. Phases, reasons and messages mirrored from the kubelet
// (pkg/kubelet/kubelet_pods.go and pkg/kubelet/status/generate.go, 1.32).

import type { ContainerState, ContainerStatus, PodCondition, PodStatus } from 'kubernetes-types/core/v1.js'
import { formatTime } from '../../api/time.ts'
import { mayRestart } from '../../kinds/core/pod-update-rules.ts'
import { podConditions } from './conditions.ts'
import type { NodeFacts } from './field-values.ts'
import { initFailed } from './plan.ts'
import {
  type AnyContainer,
  type Container,
  ephemeralContainers,
  initContainers,
  isSidecar,
  type PodObject,
  qosClass,
  type Resources,
} from './pod.ts'
import type { ContainerRecord } from './records.ts'
import { wholePod } from './resize.ts'
import { isRunning, isStarted, type PodView, podIPs, type Waiting } from './view.ts'

/** As the API has it; newer than the types that come with kubernetes-types. */
export interface FullPodStatus {
  phase: string
  conditions: PodCondition[]
  containerStatuses: ContainerStatus[]
  [field: string]: unknown
}

export function podStatus(view: PodView, node: NodeFacts, now: number): FullPodStatus {
  const { pod } = view
  // A Pod that the node refused has nothing to tell of its containers.
  const refused = view.ended !== undefined && view.containers.size === 0 && !view.sandbox
  const inits = refused ? [] : initContainers(pod)
  const initContainerStatuses = inits.map((container) => containerStatus(view, container, 'init'))
  const containerStatuses = refused
    ? []
    : pod.spec.containers.map((container) => containerStatus(view, container, 'main'))
  const ephemeral = ephemeralContainers(pod).map((container) => containerStatus(view, container, 'ephemeral'))
  const phase = podPhase(view, initContainerStatuses, containerStatuses)
  const addresses = podIPs(view, node)
  // A Pod that has ended keeps the address it had.
  const shown = addresses.length ? addresses : (pod.status?.podIPs ?? []).map(({ ip }) => ip ?? '')
  const { generation } = pod.metadata
  return {
    ...kept(pod.status),
    ...(generation !== undefined && { observedGeneration: generation }),
    phase,
    conditions: podConditions(view, phase, { initContainerStatuses, containerStatuses }, now),
    ...(view.ended && { reason: view.ended.reason, message: view.ended.message }),
    ...(node.addresses[0] && { hostIP: node.addresses[0], hostIPs: node.addresses.map((ip) => ({ ip })) }),
    ...(shown.length > 0 && { podIP: shown[0], podIPs: shown.map((ip) => ({ ip })) }),
    startTime: formatTime(view.startTime),
    ...(inits.length > 0 && { initContainerStatuses }),
    containerStatuses,
    ...(ephemeral.length > 0 && { ephemeralContainerStatuses: ephemeral }),
    qosClass: pod.status?.qosClass ?? qosClass(pod),
    ...wholeResources(view),
  }
}

function wholeResources({ granted }: PodView): Record<string, unknown> {
  const whole = granted.get(wholePod)
  return whole ? { resources: whole, ...(whole.requests && { allocatedResources: whole.requests }) } : {}
}

/** Fields of the status that others write. */
function kept(status: PodStatus | undefined): Partial<PodStatus> {
  const { nominatedNodeName, resourceClaimStatuses, reason, message } = status ?? {}
  return {
    ...(nominatedNodeName && { nominatedNodeName }),
    ...(resourceClaimStatuses && { resourceClaimStatuses }),
    ...(reason && { reason }),
    ...(message && { message }),
  }
}

type Role = 'init' | 'main' | 'ephemeral'

function containerStatus(view: PodView, container: AnyContainer, role: Role): ContainerStatus {
  const [record, previous] = view.containers.get(container.name) ?? []
  const before = statusBefore(view, container.name)
  // Created but not started is the same as not there yet.
  const shown = record?.state === 'created' ? previous : record
  if (!shown) return before?.containerID ? lost(view, container, before) : fresh(view, container, role)
  const wait = isRunning(shown) ? undefined : waitingFor(view, container.name)
  const last = wait ? shown : previous
  const started = isStarted(view, shown, 'startupProbe' in container && Boolean(container.startupProbe))
  return {
    name: container.name,
    state: wait ? { waiting: wait } : stateOf(shown),
    lastState: last && last.state === 'exited' ? stateOf(last) : {},
    ready: isReady(view, container, shown, role, started),
    restartCount: shown.restartCount,
    image: shown.image || container.image || '',
    imageID: shown.imageId,
    containerID: `containerd://${shown.id}`,
    ...(role !== 'ephemeral' && {
      started: role === 'init' && !isSidecar(container as Container) ? isRunning(shown) : started,
    }),
    ...resourcesOf(view, container, shown, role),
    ...mountsOf(container),
    ...userOf(shown, before),
    ...stopSignalOf(container),
  }
}

/** Granted, and in effect. */
function resourcesOf(view: PodView, container: AnyContainer, record: ContainerRecord, role: Role) {
  if (role === 'ephemeral') return {}
  const granted = view.granted.get(container.name) ?? ((container.resources ?? {}) as Resources)
  const { requests, limits } = (isRunning(record) && record.resources) || granted
  return {
    ...(granted.requests && { allocatedResources: granted.requests }),
    resources: { ...(limits && { limits }), ...(requests && { requests }) },
  }
}

function mountsOf({ volumeMounts = [] }: AnyContainer) {
  if (volumeMounts.length === 0) return {}
  const shown = volumeMounts.map(({ name, mountPath, readOnly }) => ({
    name,
    mountPath,
    ...(readOnly && { readOnly, recursiveReadOnly: 'Disabled' }),
  }))
  return { volumeMounts: shown }
}

/** A Tandem that took the container over knows it from the API. */
function userOf({ id, user }: ContainerRecord, before: ContainerStatus | undefined) {
  if (user) return { user: { linux: user } }
  const known = before as { containerID?: string; user?: unknown } | undefined
  return known?.user && known.containerID === `containerd://${id}` ? { user: known.user } : {}
}

function stopSignalOf(container: AnyContainer) {
  const { stopSignal } = (('lifecycle' in container && container.lifecycle) || {}) as { stopSignal?: string }
  return stopSignal ? { stopSignal } : {}
}

function isReady(
  view: PodView,
  container: AnyContainer,
  record: ContainerRecord,
  role: Role,
  started: boolean,
): boolean {
  if (role === 'ephemeral') return false
  if (role === 'init' && !isSidecar(container as Container)) return record.state === 'exited' && record.exitCode === 0
  if (!started) return false
  return 'readinessProbe' in container && container.readinessProbe ? view.probes.get(record.id)?.ready === true : true
}

const time = (ms: number): never => formatTime(ms) as never

function stateOf(record: ContainerRecord): ContainerState {
  if (record.state === 'running') return { running: { startedAt: time(record.startedAt) } }
  return {
    terminated: {
      exitCode: record.exitCode,
      reason: record.reason || (record.exitCode === 0 ? 'Completed' : 'Error'),
      ...(record.message && { message: record.message }),
      startedAt: time(record.startedAt),
      finishedAt: time(record.finishedAt),
      containerID: `containerd://${record.id}`,
    },
  }
}

function waitingFor(view: PodView, name: string): Omit<Waiting, 'until'> | undefined {
  const wait = view.waiting.get(name)
  return wait && { reason: wait.reason, ...(wait.message && { message: wait.message }) }
}

function allStatuses({ status }: PodObject): ContainerStatus[] {
  const { containerStatuses, initContainerStatuses, ephemeralContainerStatuses } = status ?? {}
  return [containerStatuses, initContainerStatuses, ephemeralContainerStatuses].flatMap((list) => list ?? [])
}

/** Runtime ids of the containers of whose end the Pod's status tells. */
export const reportedEnds = (pod: PodObject): Set<string> =>
  new Set(
    allStatuses(pod)
      .flatMap(({ state, lastState }) => [state?.terminated, lastState?.terminated])
      .flatMap((ended) => ended?.containerID?.replace(/^containerd:\/\//, '') ?? []),
  )

function statusBefore({ pod }: PodView, name: string): ContainerStatus | undefined {
  return allStatuses(pod).find((status) => status.name === name)
}

function fresh(view: PodView, container: AnyContainer, role: Role): ContainerStatus {
  const initializing = role === 'init' || (role === 'main' && initContainers(view.pod).length > 0)
  return {
    name: container.name,
    state: {
      waiting: waitingFor(view, container.name) ?? { reason: initializing ? 'PodInitializing' : 'ContainerCreating' },
    },
    lastState: {},
    ready: false,
    restartCount: 0,
    image: container.image ?? '',
    imageID: '',
    ...(role !== 'ephemeral' && { started: false }),
  }
}

/** The API remembers a container that the runtime does not have any more. */
function lost(view: PodView, container: AnyContainer, before: ContainerStatus): ContainerStatus {
  if (before.state?.terminated) return before
  const terminated = {
    exitCode: 137,
    reason: 'ContainerStatusUnknown',
    message: 'The container could not be located when the pod was terminated',
    startedAt: null as never,
    finishedAt: null as never,
  }
  const wait = waitingFor(view, container.name)
  const over = view.terminating || view.ended !== undefined
  const lastState = before.state?.running ? { terminated } : (before.lastState ?? {})
  return {
    ...before,
    state: over ? { terminated } : { waiting: wait ?? { reason: 'ContainerCreating' } },
    lastState: over ? {} : lastState,
    ready: false,
    started: false,
  }
}

export function podPhase(view: PodView, inits: ContainerStatus[], mains: ContainerStatus[]): string {
  const { pod } = view
  const final = pod.status?.phase
  if (final === 'Succeeded' || final === 'Failed') return final
  const stillRuns = [...inits, ...mains].some(({ state }) => state?.running) || view.busy.size > 0
  if (view.ended) return stillRuns ? (final ?? 'Pending') : 'Failed'
  if (initFailed(view)) return stillRuns ? 'Pending' : 'Failed'
  if (!initialized(view, inits) && !mains.some(({ containerID }) => containerID)) return 'Pending'
  let waiting = 0
  let running = 0
  let stopped = 0
  let succeeded = 0
  for (const { state, lastState } of mains) {
    if (state?.running) running++
    else if (state?.terminated) {
      stopped++
      if (state.terminated.exitCode === 0) succeeded++
    } else if (lastState?.terminated) stopped++
    else waiting++
  }
  if (waiting > 0) return 'Pending'
  if (running > 0) return 'Running'
  if (stopped === 0) return 'Pending'
  const again = mains.some(({ name, state, lastState }) => {
    const ended = state?.terminated ?? lastState?.terminated
    const container = pod.spec.containers.find((one) => one.name === name)
    return ended && mayRestart(container, pod.spec, ended.exitCode)
  })
  if (again && !view.terminating) return 'Running'
  if (inits.some(({ state }) => state?.running)) return 'Running'
  return stopped === succeeded ? 'Succeeded' : 'Failed'
}

export function initialized(view: PodView, inits: ContainerStatus[]): boolean {
  return initContainers(view.pod).every((container, index) => {
    const status = inits[index]
    return isSidecar(container) ? status?.started === true : status?.ready === true
  })
}
