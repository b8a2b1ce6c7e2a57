// One Pod on this machine: holds what is known about it, decides with plan.ts, acts, and never waits in sync. Work goes
// on in the background and tells the host when there is something new to publish.

import { isDeepStrictEqual } from 'node:util'
import type { Timer } from '../../base/clock.ts'
import { createBringUp } from './bring-up.ts'
import { createHistory } from './container-history.ts'
import { ignoreNotFound } from './cri/client.ts'
import { nodeAbilities } from './node-abilities.ts'
import { refusal } from './node-admission.ts'
import { plan, type Step } from './plan.ts'
import { type AnyContainer, allContainers, fieldPathOf, graceOf, isFinal, type PodObject, podText } from './pod.ts'
import { changedImages, describedDifferently, needsRefresh } from './pod-changes.ts'
import { createProbing } from './probing.ts'
import type { ContainerRecord } from './records.ts'
import { removeSandbox } from './remove.ts'
import { asked, grantedBefore } from './resize.ts'
import { createResizing } from './resizing.ts'
import { podStatus } from './status.ts'
import { stopContainer } from './stop-container.ts'
import { stopInOrder } from './stop-order.ts'
import type { Found } from './takeover.ts'
import { type PodView, podIPs, runningContainers, type Waiting } from './view.ts'
import type { Worker, WorkerTools } from './worker-contract.ts'

const second = 1000
const retryMs = 1000
/** Of a container that is not up yet: it may be stopped although its start is under way. */
const failedHook = 'FailedPostStartHook'

export function createWorker(first: PodObject, found: Found | undefined, tools: WorkerTools): Worker {
  const { shared, files } = tools
  const { cri } = shared.containerd
  const { clock } = shared
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
  let wake: Timer | undefined
  let blockedUntil = 0
  let stopping: Promise<void> | undefined
  let allStopped = false
  let closed = false
  let scheduled = false

  const spec = (name: string): AnyContainer | undefined =>
    allContainers(view.pod).find((container) => container.name === name)

  const history = createHistory(view, { shared, files, probing, spec, background })
  const bringUp = createBringUp(view, {
    tools,
    history,
    probing,
    resizing,
    quit: quit.signal,
    block,
    failedHook: (record) => kill(record, failedHook),
  })

  function notify(): void {
    if (closed) return
    tools.changed()
    kick()
  }

  function block(ms: number): void {
    blockedUntil = clock.now() + ms
  }

  function background(work: Promise<unknown>): void {
    const watched = work
      .catch((error) => {
        // Nothing may be lost silently; the next step finds out what is real.
        shared.log.warn('a step of a Pod failed', { pod: podText(view.pod), error })
        block(retryMs)
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
    if (action.do === 'sandbox') background(bringUp.makeSandbox(action.attempt))
    else if (action.do === 'start') {
      view.busy.add(action.container.name)
      background(bringUp.startOne(action.container, action.restartCount))
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

  function kill(record: ContainerRecord, message: string, graceSeconds?: number): void {
    if (view.busy.has(record.name) && message !== failedHook) return
    view.busy.add(record.name)
    background(stopOne(record, message, graceSeconds ?? graceOf(view.pod)).finally(() => view.busy.delete(record.name)))
  }

  async function stopOne(
    record: ContainerRecord,
    message: string,
    graceSeconds: number,
    turn?: Promise<unknown>,
  ): Promise<void> {
    const [podIP = ''] = podIPs(view, shared.node)
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
        wakeAt(clock.now() + retryMs)
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
