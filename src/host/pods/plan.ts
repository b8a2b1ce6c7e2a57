// What to do next for a Pod, given what is known about it. Pure; the order of things is the kubelet's
// (pkg/kubelet/kuberuntime computePodActions, 1.32).

import { mayRestart } from '../../kinds/core/pod-update-rules.ts'
import type { Backoff } from './backoff.ts'
import { containerHash } from './names.ts'
import {
  type AnyContainer,
  type Container,
  ephemeralContainers,
  initContainers,
  isSidecar,
  type PodObject,
  podText,
} from './pod.ts'
import type { ContainerRecord } from './records.ts'
import { isWholeOpen, openResizes, type ResizeStep, wholeGoesFirst } from './resize.ts'
import { isRunning, isStarted, newest, type PodView, runningContainers, type Waiting } from './view.ts'

export type Step =
  | { do: 'sandbox'; attempt: number }
  | { do: 'start'; container: AnyContainer; restartCount: number }
  | { do: 'discard'; record: ContainerRecord }
  | { do: 'kill'; record: ContainerRecord; message: string }
  | { do: 'resize'; resize: ResizeStep }
  | { do: 'resize-pod' }
  /** Everything has run: stop the sandbox, keep containers for their logs. */
  | { do: 'finish' }

export interface Plan {
  steps: Step[]
  /** Containers that must wait, and why. */
  waiting: Map<string, Waiting>
  /** Milliseconds since 1970 at which to look again. */
  wakeAt: number | undefined
}

export const backoffKey = (pod: PodObject, container: AnyContainer): string =>
  `${pod.metadata.uid}/${container.name}/${containerHash(container)}`

export function plan(view: PodView, backoff: Backoff, now: number): Plan {
  const draft: Plan = { steps: [], waiting: new Map(), wakeAt: undefined }
  if (isOver(view)) {
    finish(view, draft)
    return draft
  }
  // Created, never started: what a former run left half-done.
  for (const records of view.containers.values())
    for (const record of records)
      if (record.state === 'created' && !view.busy.has(record.name)) draft.steps.push({ do: 'discard', record })
  if (draft.steps.length > 0) return draft
  if (!view.sandbox?.ready) {
    if (!view.sandboxBusy) draft.steps.push({ do: 'sandbox', attempt: view.sandbox ? view.sandbox.attempt + 1 : 0 })
    return draft
  }
  const add = (container: AnyContainer) => consider(view, draft, container, backoff, now)
  if (initialize(view, add)) {
    for (const container of view.pod.spec.containers) if (shouldRun(view, container)) add(container)
    replaceChanged(view, draft)
  }
  resizeGranted(view, draft)
  for (const container of ephemeralContainers(view.pod)) if (!newest(view, container.name)) add(container)
  return draft
}

/** The Pod has a final phase, or will have as soon as what still runs is stopped. */
export function isOver(view: PodView): boolean {
  const { pod } = view
  if (view.ended || pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return true
  if (initFailed(view)) return true
  const main = pod.spec.containers
  return main.every(
    (container) =>
      newest(view, container.name) && !shouldRun(view, container) && !isRunning(newest(view, container.name)),
  )
}

/** An init container that failed for good. */
export function initFailed(view: PodView): boolean {
  const { pod } = view
  if (mainHasRun(view)) return false
  return initContainers(pod).some((container) => {
    const record = newest(view, container.name)
    if (isSidecar(container) || record?.state !== 'exited' || record.exitCode === 0) return false
    return !mayRestart(container, pod.spec, record.exitCode)
  })
}

const mainHasRun = (view: PodView): boolean =>
  view.pod.spec.containers.some(({ name }) => newest(view, name)?.sandboxId === view.sandbox?.id && newest(view, name))

/** False where its restart policy says that it has run enough. */
export function shouldRun(view: PodView, container: Container): boolean {
  const record = newest(view, container.name)
  if (!record || record.state === 'unknown' || record.state === 'created') return true
  if (isRunning(record)) return record.sandboxId !== view.sandbox?.id
  return mayRestart(container, view.pod.spec, record.exitCode)
}

/** Runs init containers in order, keeps sidecars up; true when main containers may run. */
function initialize(view: PodView, add: (container: AnyContainer) => void): boolean {
  const done = mainHasRun(view)
  for (const container of initContainers(view.pod)) {
    const record = newest(view, container.name)
    const current = record?.sandboxId === view.sandbox?.id ? record : undefined
    if (isSidecar(container)) {
      if (!isRunning(current)) add(container)
      if (!done && !(current && isStarted(view, current, Boolean(container.startupProbe)))) return false
    } else if (!done) {
      if (current?.state === 'exited' && current.exitCode === 0) continue
      if (!isRunning(current)) add(container)
      return false
    }
  }
  return true
}

/** A start, unless something is under way already or a failure must cool down first. */
function consider(view: PodView, draft: Plan, container: AnyContainer, backoff: Backoff, now: number): void {
  if (view.busy.has(container.name)) return
  const record = newest(view, container.name)
  const wait = view.waiting.get(container.name)
  if (wait?.until && wait.until > now) {
    later(draft, container.name, wait, wait.until)
    return
  }
  if (record?.state === 'exited') {
    const remaining = backoff.remaining(backoffKey(view.pod, container), record.finishedAt, now)
    if (remaining > 0) {
      const seconds = formatSeconds(backoff.delay(backoffKey(view.pod, container)))
      const message = `back-off ${seconds} restarting failed container=${container.name} pod=${podText(view.pod)}`
      later(draft, container.name, { reason: 'CrashLoopBackOff', message }, now + remaining)
      return
    }
  }
  draft.steps.push({ do: 'start', container, restartCount: nextRestartCount(view, container) })
}

function later(draft: Plan, name: string, wait: Waiting, at: number): void {
  draft.waiting.set(name, wait)
  draft.wakeAt = Math.min(draft.wakeAt ?? at, at)
}

/** '10s', '1m20s', as Go prints a duration. */
export function formatSeconds(ms: number): string {
  const seconds = Math.round(ms / 1000)
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`
}

/** One more than the runtime or, if it lost the container, the API remembers. */
function nextRestartCount(view: PodView, container: AnyContainer): number {
  const record = newest(view, container.name)
  const { status } = view.pod
  const known = [status?.containerStatuses, status?.initContainerStatuses]
    .flatMap((list) => list ?? [])
    .find(({ name }) => name === container.name)
  const remembered = known?.containerID ? known.restartCount + 1 : 0
  return Math.max(record ? record.restartCount + 1 : 0, remembered)
}

function replaceChanged(view: PodView, draft: Plan): void {
  for (const container of view.pod.spec.containers) {
    const record = newest(view, container.name)
    if (!isRunning(record) || view.busy.has(container.name) || !record.hash) continue
    if (record.hash !== containerHash(container))
      draft.steps.push({
        do: 'kill',
        record,
        message: `Container ${container.name} definition changed, will be restarted`,
      })
  }
}

function resizeGranted(view: PodView, draft: Plan): void {
  if (isWholeOpen(view) && wholeGoesFirst(view) && !view.sandboxBusy) draft.steps.push({ do: 'resize-pod' })
  for (const resize of openResizes(view)) {
    const { record, restart, container } = resize
    if (view.busy.has(record.name)) continue
    if (restart)
      draft.steps.push({ do: 'kill', record, message: `Container ${container.name} resize requires restart` })
    else draft.steps.push({ do: 'resize', resize })
  }
}

function finish(view: PodView, draft: Plan): void {
  const running = runningContainers(view).filter(({ name }) => !view.busy.has(name))
  for (const record of running) draft.steps.push({ do: 'kill', record, message: `Stopping container ${record.name}` })
  if (runningContainers(view).length === 0 && view.busy.size === 0 && view.sandbox?.ready && !view.sandboxBusy)
    draft.steps.push({ do: 'finish' })
}
