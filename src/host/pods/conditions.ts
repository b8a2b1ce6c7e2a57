// Conditions of a Pod. Reasons and messages mirrored from the kubelet (pkg/kubelet/status/generate.go, 1.32).

import type { ContainerStatus, PodCondition } from 'kubernetes-types/core/v1.js'
import { formatTime } from '../../api/time.ts'
import { initContainers, isSidecar } from './pod.ts'
import type { PodView } from './view.ts'

interface Statuses {
  initContainerStatuses: ContainerStatus[]
  containerStatuses: ContainerStatus[]
}

interface Verdict {
  type: string
  status: 'True' | 'False'
  reason?: string
  message?: string
}

const ours = [
  ...['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled'],
  ...['PodResizePending', 'PodResizeInProgress'],
]

export function podConditions(view: PodView, phase: string, statuses: Statuses, now: number): PodCondition[] {
  const before = view.pod.status?.conditions ?? []
  const containers = containersReady(view, phase, statuses)
  const verdicts = [
    sandboxReady(view, phase),
    initializedCondition(view, phase, statuses),
    ready(view, containers),
    containers,
  ]
  const own = view.ended?.disruption ? [...ours, 'DisruptionTarget'] : ours
  const others = before.filter(({ type }) => !own.includes(type))
  const all: Verdict[] = [...verdicts, { type: 'PodScheduled', status: 'True' }, ...resizing(view), ...disrupted(view)]
  const { generation } = view.pod.metadata
  const shown = all.map((verdict) => ({
    ...condition(verdict, before, now),
    ...(generation !== undefined && { observedGeneration: generation }),
  }))
  return [...shown, ...others]
}

const disrupted = ({ ended }: PodView): Verdict[] =>
  ended?.disruption
    ? [{ type: 'DisruptionTarget', status: 'True', reason: 'TerminationByKubelet', message: ended.message }]
    : []

function resizing({ resize: { pending, inProgress } }: PodView): Verdict[] {
  const found: Verdict[] = []
  if (pending) found.push({ type: 'PodResizePending', status: 'True', ...pending })
  if (inProgress)
    found.push({
      type: 'PodResizeInProgress',
      status: 'True',
      ...(inProgress.error && { reason: 'Error', message: inProgress.error }),
    })
  return found
}

/** Keeps the time of the last change as long as the status stays. */
function condition({ type, status, reason, message }: Verdict, before: PodCondition[], now: number): PodCondition {
  const old = before.find((other) => other.type === type)
  const since = old?.status === status ? old.lastTransitionTime : undefined
  return {
    type,
    status,
    lastProbeTime: null as never,
    lastTransitionTime: since ?? (formatTime(now) as never),
    ...(reason && { reason }),
    ...(message && { message }),
  }
}

const isFinal = (phase: string) => phase === 'Succeeded' || phase === 'Failed'

function sandboxReady(view: PodView, phase: string): Verdict {
  const up = view.sandbox?.ready === true && !isFinal(phase)
  return { type: 'PodReadyToStartContainers', status: up ? 'True' : 'False' }
}

function initializedCondition(
  view: PodView,
  phase: string,
  { initContainerStatuses, containerStatuses }: Statuses,
): Verdict {
  const type = 'Initialized'
  if (phase === 'Succeeded') return { type, status: 'True', reason: 'PodCompleted' }
  const incomplete = initContainers(view.pod).filter((container, index) => {
    const status = initContainerStatuses[index]
    return isSidecar(container) ? !status?.started : !status?.ready
  })
  const mainStarted = containerStatuses.some(
    ({ state, lastState }) => state?.running || state?.terminated || lastState?.terminated,
  )
  if (incomplete.length === 0 || mainStarted) return { type, status: 'True' }
  const names = incomplete.map(({ name }) => name).join(' ')
  return {
    type,
    status: 'False',
    reason: 'ContainersNotInitialized',
    message: `containers with incomplete status: [${names}]`,
  }
}

function containersReady(
  view: PodView,
  phase: string,
  { initContainerStatuses, containerStatuses }: Statuses,
): Verdict {
  const type = 'ContainersReady'
  if (phase === 'Succeeded') return { type, status: 'False', reason: 'PodCompleted' }
  if (phase === 'Failed') return { type, status: 'False', reason: 'PodFailed' }
  const sidecars = initContainers(view.pod).flatMap((container, index) =>
    isSidecar(container) ? [initContainerStatuses[index]!] : [],
  )
  const unready = [...sidecars, ...containerStatuses].filter((status) => !status.ready).map(({ name }) => name)
  if (unready.length === 0) return { type, status: 'True' }
  const message = `containers with unready status: [${unready.join(' ')}]`
  return { type, status: 'False', reason: 'ContainersNotReady', message }
}

/** Ready = all containers ready and every readiness gate open. */
function ready(view: PodView, containers: Verdict): Verdict {
  if (containers.status === 'False') return { ...containers, type: 'Ready' }
  const problems = (view.pod.spec.readinessGates ?? []).flatMap(({ conditionType }) => {
    const gate = view.pod.status?.conditions?.find(({ type }) => type === conditionType)
    if (!gate) return [`corresponding condition of pod readiness gate "${conditionType}" does not exist.`]
    return gate.status === 'True'
      ? []
      : [`the status of pod readiness gate "${conditionType}" is not "True", but ${gate.status}`]
  })
  if (problems.length === 0) return { type: 'Ready', status: 'True' }
  return { type: 'Ready', status: 'False', reason: 'ReadinessGatesNotReady', message: problems.join(', ') }
}
