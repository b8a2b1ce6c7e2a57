// One Pod on this machine: holds what is known about it, decides with plan.ts, acts, and never waits in sync. Work goes
// on in the background and tells the host when there is something new to publish.

import { isDeepStrictEqual } from 'node:util'
import type { Timer } from '../../base/clock.ts'
import { createHistory } from './container-history.ts'
import { runPostStart } from './hooks.ts'
import { nodeAbilities } from './node-abilities.ts'
import { refusal } from './node-admission.ts'
import { backoffKey, plan, type Step } from './plan.ts'
import {
  type AnyContainer,
  allContainers,
  ContainerProblem,
  fieldPathOf,
  graceOf,
  isFinal,
  type PodObject,
  podText,
} from './pod.ts'
import { changedImages, describedDifferently, needsRefresh } from './pod-changes.ts'
import { createProbing } from './probing.ts'
import { ImageNotReady } from './pulling.ts'
import type { ContainerRecord } from './records.ts'
import { asked, grantedBefore, withWhole } from './resize.ts'
import { createResizing } from './resizing.ts'
import { configOfSandbox, type MountedVolumes, mountVolumes, runSandbox, SandboxProblem } from './sandbox.ts'
import type { SandboxConfig } from './spec.ts'
import { podStatus } from './status.ts'
import { stopContainer } from './stop-container.ts'
import { stopInOrder } from './stop-order.ts'
import { type Found, ignoreNotFound, removeSandbox, removeUnknown } from './takeover.ts'
import { idsOf, isRunning, type PodView, runningContainers, type Waiting } from './view.ts'
import type { Worker, WorkerTools } from './worker-contract.ts'

const second = 1000
const [firstRetryMs, lastRetryMs] = [1000, 60_000]

export function createWorker(first: PodObject, found: Found | undefined, tools: WorkerTools): Worker {
  const { shared, files } = tools
  const { cri } = shared.containerd
  const { clock } = shared
  const uid = first.metadata.uid
  const [current, ...older] = found?.sandboxes ?? []

  const view: PodView = {
    pod: first,
    sandbox: current,
    containers: found?.containers ?? new Map(),
    waiting: new Map(),
    probes: new Map(),
    busy: new Set(),
    sandboxBusy: false,
    ended: undefined,
    terminating: false,
    startTime: Date.parse(`${first.status?.startTime ?? ''}`) || clock.now(),
    granted: found?.containers.size ? grantedBefore(first) : asked(first),
    resize: {},
  }
  const probing = createProbing(view, {
    shared,
    changed: () => notify(),
    restart: (record, message, graceSeconds) => kill(record, message, graceSeconds),
  })
  const resizing = createResizing(view, shared, tools.changed)
  const underWay = new Set<Promise<unknown>>()
  const quit = new AbortController()
  const hurry = new AbortController()
  let volumes: MountedVolumes | undefined
  let config: SandboxConfig | undefined
  let wake: Timer | undefined
  let retryMs = firstRetryMs
  let blockedUntil = 0
  let turn: Promise<unknown> = Promise.resolve()
  let stopping: Promise<void> | undefined
  let allStopped = false
  let closed = false
  let scheduled = false

  const spec = (name: string): AnyContainer | undefined =>
    allContainers(view.pod).find((container) => container.name === name)
  const podIPs = (): string[] =>
    view.pod.spec.hostNetwork ? shared.node.addresses.slice(0, 1) : (view.sandbox?.addresses ?? [])

  const history = createHistory(view, { shared, files, probing, spec, background })

  function notify(): void {
    if (closed) return
    tools.changed()
    kick()
  }

  function background(work: Promise<unknown>): void {
    const watched = work
      .catch((error) => {
        // Nothing may be lost silently; the next step finds out what is real.
        shared.log.warn('a step of a Pod failed', { pod: podText(view.pod), error })
        blockedUntil = clock.now() + firstRetryMs
      })
      .finally(() => {
        underWay.delete(watched)
        notify()
      })
    underWay.add(watched)
  }

  function kick(): void {
    if (scheduled || closed) return
    scheduled = true
    queueMicrotask(() => {
      scheduled = false
      if (!closed) step()
    })
  }

  function wakeAt(at: number): void {
    wake?.cancel()
    wake = clock.after(Math.max(at - clock.now(), 0), () => notify())
  }

  function step(): void {
    const now = clock.now()
    if (view.terminating) {
      if (!stopping && !allStopped) stopAll()
      return
    }
    checkDeadline(now)
    if (blockedUntil > now) {
      wakeAt(blockedUntil)
      return
    }
    resizing.settle()
    const { steps, waiting, wakeAt: at } = plan(view, shared.restarts, now)
    for (const [name, wait] of waiting) showWaiting(name, wait)
    for (const action of steps) perform(action)
    const deadline = deadlineAt()
    const next = Math.min(
      at ?? Number.POSITIVE_INFINITY,
      deadline > now ? deadline : Number.POSITIVE_INFINITY,
      resizing.lookAgainAt() ?? Number.POSITIVE_INFINITY,
    )
    if (Number.isFinite(next)) wakeAt(next)
  }

  const deadlineAt = (): number => {
    const seconds = view.pod.spec.activeDeadlineSeconds
    return seconds === undefined || view.ended ? Number.POSITIVE_INFINITY : view.startTime + seconds * second
  }

  function checkDeadline(now: number): void {
    if (deadlineAt() > now) return
    const message = 'Pod was active on the node longer than the specified deadline'
    view.ended = { reason: 'DeadlineExceeded', message }
    shared.record(view.pod, 'Normal', 'DeadlineExceeded', message)
    quit.abort()
  }

  function showWaiting(name: string, wait: Waiting): void {
    const before = view.waiting.get(name)
    if (before?.reason === wait.reason && before.message === wait.message) return
    view.waiting.set(name, wait)
    if (wait.reason === 'CrashLoopBackOff')
      shared.record(
        view.pod,
        'Warning',
        'BackOff',
        `Back-off restarting failed container ${name} in pod ${podText(view.pod)}`,
        fieldPathOf(view.pod, name),
      )
    tools.changed()
  }

  function perform(action: Step): void {
    if (action.do === 'sandbox') background(makeSandbox(action.attempt))
    else if (action.do === 'start') {
      view.busy.add(action.container.name)
      background(startOne(action.container, action.restartCount))
    } else if (action.do === 'discard') {
      view.busy.add(action.record.name)
      background(history.discard(action.record).finally(() => view.busy.delete(action.record.name)))
    } else if (action.do === 'kill') kill(action.record, action.message, view.ended?.graceSeconds)
    else if (action.do === 'resize' || action.do === 'resize-pod') {
      if (resizing.coolsDown()) return
      if (action.do === 'resize') view.busy.add(action.resize.record.name)
      else view.sandboxBusy = true
      background(action.do === 'resize' ? resizing.resize(action.resize) : resizing.resizePod())
    } else if (action.do === 'finish') {
      view.sandboxBusy = true
      background(finish())
    }
  }

  async function makeSandbox(attempt: number): Promise<void> {
    view.sandboxBusy = true
    try {
      const old = view.sandbox
      if (old) await cri.stopPodSandbox({ podSandboxId: old.id }).catch(ignoreNotFound)
      if (old) await history.refreshAll()
      volumes = await mountVolumes(shared, tools.imageVolumes, view.pod)
      if (quit.signal.aborted) return
      await resizing.limitPod()
      const made = await runSandbox(shared, files, view.pod, attempt)
      tools.owns(made.record.id)
      view.sandbox = made.record
      config = made.config
      retryMs = firstRetryMs
    } catch (error) {
      if (!(error instanceof SandboxProblem)) throw error
      await clearUnknown()
      blockedUntil = clock.now() + retryMs
      retryMs = Math.min(retryMs * 2, lastRetryMs)
    } finally {
      view.sandboxBusy = false
    }
  }

  /** Pulls go side by side; containers then start one after the other, in the order of the spec. */
  async function startOne(container: AnyContainer, restartCount: number): Promise<void> {
    const before = turn
    let done = () => {}
    turn = new Promise<void>((resolve) => {
      done = resolve
    })
    try {
      const image = await Promise.race([tools.puller.ensure(view.pod, container), quitting()])
      await before
      const { sandbox } = view
      if (!image || quit.signal.aborted || !sandbox?.ready) return
      countRestart(container)
      config ??= await configOfSandbox(shared, view.pod, sandbox.attempt)
      volumes ??= await mountVolumes(shared, tools.imageVolumes, view.pod)
      const record = await tools.starter.start({
        pod: withWhole(view),
        container: withGranted(container),
        restartCount,
        image,
        sandbox,
        sandboxConfig: config,
        volumes,
        podIPs: podIPs(),
        targetId: targetOf(container),
        created: tools.owns,
      })
      view.waiting.delete(container.name)
      await history.put(record)
      await postStart(container, record)
      history.forgetOld(container.name)
    } catch (error) {
      if (error instanceof ContainerProblem) await clearUnknown()
      failedToStart(container, error)
    } finally {
      done()
      view.busy.delete(container.name)
    }
  }

  /** With the resources that the node has granted, which may not be those of the spec yet. */
  function withGranted(container: AnyContainer): AnyContainer {
    const resources = view.granted.get(container.name)
    return resources ? { ...container, resources } : container
  }

  const clearUnknown = () =>
    removeUnknown(cri, uid, idsOf(view)).catch((error) =>
      shared.log.debug('cannot clear what a failed call left', { pod: podText(view.pod), error }),
    )

  const quitting = (): Promise<undefined> =>
    new Promise((resolve) => quit.signal.addEventListener('abort', () => resolve(undefined), { once: true }))

  function targetOf(container: AnyContainer): string | undefined {
    const target = 'targetContainerName' in container ? container.targetContainerName : undefined
    return target ? view.containers.get(target)?.find(isRunning)?.id : undefined
  }

  function countRestart(container: AnyContainer): void {
    const last = view.containers.get(container.name)?.[0]
    if (last?.state === 'exited') shared.restarts.next(backoffKey(view.pod, container), last.finishedAt, clock.now())
  }

  function failedToStart(container: AnyContainer, error: unknown): void {
    if (error instanceof ImageNotReady) view.waiting.set(container.name, error.waiting)
    else if (error instanceof ContainerProblem)
      view.waiting.set(container.name, {
        reason: error.reason,
        message: error.message,
        until: clock.now() + 5 * second,
      })
    else if (error instanceof SandboxProblem) blockedUntil = clock.now() + retryMs
    else throw error
  }

  async function postStart(container: AnyContainer, record: ContainerRecord): Promise<void> {
    const hook = 'lifecycle' in container ? container.lifecycle?.postStart : undefined
    const running = view.containers.get(container.name)?.[0]
    if (!hook || running?.id !== record.id || !isRunning(running)) return
    running.hookRuns = true
    const target = { container, containerId: record.id, podIP: podIPs()[0] ?? '' }
    const failed = await runPostStart(shared, view.pod, hook, target, quitting())
    running.hookRuns = false
    if (failed) kill(running, 'FailedPostStartHook')
    probing.watch(running)
  }

  function kill(record: ContainerRecord, message: string, graceSeconds?: number): void {
    if (view.busy.has(record.name) && message !== 'FailedPostStartHook') return
    view.busy.add(record.name)
    background(stopOne(record, message, graceSeconds ?? graceOf(view.pod)).finally(() => view.busy.delete(record.name)))
  }

  async function stopOne(
    record: ContainerRecord,
    message: string,
    graceSeconds: number,
    turn?: Promise<unknown>,
  ): Promise<void> {
    const [podIP = ''] = podIPs()
    const container = spec(record.name)
    await stopContainer(shared, {
      pod: view.pod,
      container,
      record,
      graceSeconds,
      message,
      podIP,
      hurry: hurry.signal,
      ...(turn && { turn }),
    })
    await history.refresh(record)
  }

  async function finish(): Promise<void> {
    try {
      await cri.stopPodSandbox({ podSandboxId: view.sandbox!.id }).catch(ignoreNotFound)
      view.sandbox = { ...view.sandbox!, ready: false }
    } finally {
      view.sandboxBusy = false
    }
  }

  /** The Pod was deleted: main containers first, then sidecars, then the sandbox. */
  function stopAll(): void {
    quit.abort()
    // A Pod on its way out still says whether it can be asked, but nobody restarts it.
    probing.onlyReadiness()
    stopping = (async () => {
      await Promise.allSettled([...underWay])
      const grace = graceOf(view.pod)
      const running = runningContainers(view)
      await stopInOrder(view.pod, running, (record, turn) =>
        stopOne(record, `Stopping container ${record.name}`, grace, turn),
      )
      if (view.sandbox) await cri.stopPodSandbox({ podSandboxId: view.sandbox.id }).catch(ignoreNotFound)
      if (view.sandbox) view.sandbox = { ...view.sandbox, ready: false }
      probing.stop()
      allStopped = true
    })()
      .catch((error) => {
        shared.log.warn('cannot stop a Pod yet', { pod: podText(view.pod), error })
        wakeAt(clock.now() + firstRetryMs)
      })
      .finally(() => {
        stopping = undefined
        tools.changed()
      })
  }

  /** ConfigMaps, Secrets, tokens and the downward API reach running containers, too. */
  function refreshVolumes(): void {
    if (closed || view.terminating || !needsRefresh(view.pod) || runningContainers(view).length === 0) return
    const refreshed = shared.volumes
      .refresh(view.pod)
      .catch((error) => shared.log.warn('cannot refresh volumes', { pod: podText(view.pod), error }))
      .finally(() => underWay.delete(refreshed))
    // Whoever removes the volumes waits for it.
    underWay.add(refreshed)
  }

  const isNew = !found?.containers.size && !first.metadata.deletionTimestamp
  const abilities = { ...nodeAbilities(), node: tools.node }
  const refused = isNew && refusal(first, abilities, tools.others()) && refusal(first, abilities, tools.others('exact'))
  if (refused && !isFinal(first)) {
    view.ended = { reason: refused.reason, message: `Pod was rejected: ${refused.message}` }
    shared.record(first, 'Warning', refused.reason, refused.message)
  }
  for (const record of runningContainers(view)) probing.takeOver(record)
  for (const id of [
    ...(current ? [current.id] : []),
    ...[...view.containers.values()].flat().map((record) => record.id),
  ])
    tools.owns(id)
  // Only the newest sandbox counts; containers of an older one are remembered until now for their logs.
  for (const { id } of older)
    if (![...view.containers.values()].flat().some(({ sandboxId }) => sandboxId === id))
      background(removeSandbox(cri, id))

  return {
    view,
    update(pod) {
      const before = view.pod
      view.pod = pod
      if (pod.metadata.deletionTimestamp) {
        // Asked again with less patience.
        if (view.terminating && graceOf(pod) < graceOf(before)) clock.after(graceOf(pod) * second, () => hurry.abort())
        view.terminating = true
      } else {
        // Before the next report: a status that has seen the new spec says what became of it.
        resizing.settle()
        for (const name of changedImages(before, pod)) view.waiting.delete(name)
        if (needsRefresh(pod) && describedDifferently(before, pod)) refreshVolumes()
      }
      kick()
    },
    evict(eviction) {
      if (view.ended || view.terminating || isFinal(view.pod)) return
      view.ended = eviction
      shared.record(view.pod, 'Warning', eviction.reason, eviction.message)
      quit.abort()
      notify()
    },
    refreshVolumes,
    forgetDead: history.forgetDead,
    report() {
      const status = podStatus(view, shared.node, clock.now())
      // Through JSON, so that fields without a value do not count as a difference.
      const plain = JSON.parse(JSON.stringify(status)) as Record<string, unknown>
      return isDeepStrictEqual(plain, view.pod.status) ? {} : { status: plain }
    },
    stopped: () => allStopped || (view.terminating && !view.sandbox && underWay.size === 0 && !stopping),
    async ended(runtimeId) {
      if (view.sandbox?.id === runtimeId) {
        view.sandbox = { ...view.sandbox, ready: false }
        if (!view.terminating && !view.sandboxBusy)
          shared.record(view.pod, 'Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.')
      }
      const record = [...view.containers.values()].flat().find(({ id }) => id === runtimeId)
      if (record) await history.refresh(record)
      else history.endedEarly(runtimeId)
      notify()
    },
    async close() {
      closed = true
      wake?.cancel()
      probing.stop()
      quit.abort()
      hurry.abort()
      await Promise.allSettled([...underWay, stopping])
    },
  }
}
