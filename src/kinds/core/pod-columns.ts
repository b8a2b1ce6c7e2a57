// What `kubectl get pods` says of a Pod: printPod of pkg/printers/internalversion/printers.go, Kubernetes 1.36.

import type { Column } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { humanDuration } from '../../api/time.ts'
import { none, text } from '../columns.ts'
import { levelLabel } from '../isolation/levels.ts'

interface Terminated {
  exitCode: number
  signal?: number
  reason?: string
  finishedAt?: string
}

interface ContainerStatus {
  name: string
  ready: boolean
  started?: boolean
  restartCount: number
  state?: { waiting?: { reason?: string }; running?: object; terminated?: Terminated }
  lastState?: { terminated?: Terminated }
}

export interface PodSummary {
  ready: number
  total: number
  reason: string
  restarts: number
  /** When the last restart happened (ms), 0 if never. */
  lastRestart: number
}

const terminatedReason = (prefix: string, { reason, signal, exitCode }: Terminated): string =>
  reason ? prefix + reason : signal ? `${prefix}Signal:${signal}` : `${prefix}ExitCode:${exitCode}`

const conditionIs = (pod: ApiObject, type: string): boolean =>
  (pod.status?.conditions ?? []).some((condition: any) => condition.type === type && condition.status === 'True')

const latest = (before: number, status: ContainerStatus): number =>
  Math.max(before, Date.parse(status.lastState?.terminated?.finishedAt ?? '') || 0)

export function summarizePod(pod: ApiObject): PodSummary {
  const { spec = {}, status = {} } = pod
  const init = initState(pod)
  const summary: PodSummary = {
    ready: init.ready,
    total: (spec.containers?.length ?? 0) + init.sidecars.size,
    reason: init.reason ?? startReason(pod),
    restarts: init.restarts,
    lastRestart: init.lastRestart,
  }
  if (init.reason === undefined || conditionIs(pod, 'Initialized')) {
    summary.restarts = init.sidecarRestarts
    summary.lastRestart = init.lastSidecarRestart
    addContainers(pod, summary)
  }
  const final = status.phase === 'Succeeded' || status.phase === 'Failed'
  if (pod.metadata.deletionTimestamp && status.reason === 'NodeLost') summary.reason = 'Unknown'
  else if (pod.metadata.deletionTimestamp && !final) summary.reason = 'Terminating'
  return summary
}

function startReason({ status = {} }: ApiObject): string {
  const gated = (status.conditions ?? []).some(
    (condition: any) => condition.type === 'PodScheduled' && condition.reason === 'SchedulingGated',
  )
  return gated ? 'SchedulingGated' : status.reason || status.phase || ''
}

/** Init containers: the first that is not done gives the reason; those that restart for ever count as containers. */
function initState({ spec = {}, status = {} }: ApiObject) {
  const containers: any[] = spec.initContainers ?? []
  const sidecars = new Set<string>(
    containers.filter((container) => container.restartPolicy === 'Always').map((container) => container.name),
  )
  const state = { sidecars, restarts: 0, lastRestart: 0, sidecarRestarts: 0, lastSidecarRestart: 0, ready: 0 }
  const statuses: ContainerStatus[] = status.initContainerStatuses ?? []
  for (const [index, container] of statuses.entries()) {
    state.restarts += container.restartCount
    state.lastRestart = latest(state.lastRestart, container)
    const sidecar = sidecars.has(container.name)
    if (sidecar) {
      state.sidecarRestarts += container.restartCount
      state.lastSidecarRestart = latest(state.lastSidecarRestart, container)
    }
    const { terminated, waiting } = container.state ?? {}
    if (terminated?.exitCode === 0) continue
    if (sidecar && container.started) {
      if (container.ready) state.ready++
      continue
    }
    const waits = waiting?.reason && waiting.reason !== 'PodInitializing'
    if (terminated) return { ...state, reason: terminatedReason('Init:', terminated) }
    return { ...state, reason: waits ? `Init:${waiting.reason}` : `Init:${index}/${containers.length}` }
  }
  return { ...state, reason: undefined }
}

function addContainers(pod: ApiObject, summary: PodSummary): void {
  let running = false
  for (const container of ((pod.status?.containerStatuses ?? []) as ContainerStatus[]).toReversed()) {
    const { waiting, terminated, running: runs } = container.state ?? {}
    summary.restarts += container.restartCount
    summary.lastRestart = latest(summary.lastRestart, container)
    if (waiting?.reason) summary.reason = waiting.reason
    else if (terminated) summary.reason = terminatedReason('', terminated)
    else if (container.ready && runs) {
      running = true
      summary.ready++
    }
  }
  if (summary.reason === 'Completed' && running) summary.reason = conditionIs(pod, 'Ready') ? 'Running' : 'NotReady'
}

function restartsText(pod: ApiObject, now: number): string {
  const { restarts, lastRestart } = summarizePod(pod)
  return restarts && lastRestart ? `${restarts} (${humanDuration(now - lastRestart)} ago)` : `${restarts}`
}

function readinessGates({ spec = {}, status = {} }: ApiObject): string {
  const gates: { conditionType: string }[] = spec.readinessGates ?? []
  if (!gates.length) return none
  const open = gates.filter((gate) =>
    (status.conditions ?? []).some(
      (condition: any) => condition.type === gate.conditionType && condition.status === 'True',
    ),
  )
  return `${open.length}/${gates.length}`
}

export const podColumns: Column[] = [
  text('Ready', (pod) => {
    const { ready, total } = summarizePod(pod)
    return `${ready}/${total}`
  }),
  text('Status', (pod) => summarizePod(pod).reason),
  text('Restarts', restartsText),
  ageColumn,
  text('IP', (pod) => pod.status?.podIPs?.[0]?.ip || none, 1),
  text('Node', (pod) => pod.spec?.nodeName || none, 1),
  text('Nominated Node', (pod) => pod.status?.nominatedNodeName || none, 1),
  text('Readiness Gates', readinessGates, 1),
  text('Isolation', (pod) => pod.metadata.labels?.[levelLabel] || none, 1),
]
