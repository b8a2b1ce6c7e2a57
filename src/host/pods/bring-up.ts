// What brings a Pod up: its sandbox, then each container with its image, its turn and its first hook. The worker says when.

import type { History } from './container-history.ts'
import { ignoreNotFound } from './cri/client.ts'
import { runPostStart } from './hooks.ts'
import { backoffKey } from './plan.ts'
import { type AnyContainer, ContainerProblem, podText } from './pod.ts'
import type { Probing } from './probing.ts'
import { ImageNotReady } from './pulling.ts'
import type { ContainerRecord } from './records.ts'
import { removeUnknown } from './remove.ts'
import { withWhole } from './resize.ts'
import type { Resizing } from './resizing.ts'
import { configOfSandbox, type MountedVolumes, mountVolumes, runSandbox, SandboxProblem } from './sandbox.ts'
import type { SandboxConfig } from './spec.ts'
import { idsOf, isRunning, type PodView, podIPs } from './view.ts'
import type { WorkerTools } from './worker-contract.ts'

const second = 1000
const [firstRetryMs, lastRetryMs] = [1000, 60_000]

export interface BringUp {
  makeSandbox(attempt: number): Promise<void>
  startOne(container: AnyContainer, restartCount: number): Promise<void>
}

export interface BringUpParts {
  tools: WorkerTools
  history: History
  probing: Probing
  resizing: Resizing
  /** The Pod ends: nothing further starts. */
  quit: AbortSignal
  /** Nothing is tried for so long. */
  block(ms: number): void
  /** Its first hook failed: it has to go. */
  failedHook(record: ContainerRecord): void
}

export function createBringUp(view: PodView, parts: BringUpParts): BringUp {
  const { tools, history, probing, resizing, quit, block, failedHook } = parts
  const { shared, files } = tools
  const { cri } = shared.containerd
  const { clock } = shared
  let volumes: MountedVolumes | undefined
  let config: SandboxConfig | undefined
  let retryMs = firstRetryMs
  let turn: Promise<unknown> = Promise.resolve()

  async function makeSandbox(attempt: number): Promise<void> {
    view.sandboxBusy = true
    try {
      const old = view.sandbox
      if (old) await cri.stopPodSandbox({ podSandboxId: old.id }).catch(ignoreNotFound)
      if (old) await history.refreshAll()
      volumes = await mountVolumes(shared, tools.imageVolumes, view.pod)
      if (quit.aborted) return
      await resizing.limitPod()
      const made = await runSandbox(shared, files, view.pod, attempt)
      tools.owns(made.record.id)
      view.sandbox = made.record
      config = made.config
      retryMs = firstRetryMs
    } catch (error) {
      if (!(error instanceof SandboxProblem)) throw error
      await clearUnknown()
      block(retryMs)
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
      if (!image || quit.aborted || !sandbox?.ready) return
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
        podIPs: podIPs(view, shared.node),
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
    removeUnknown(cri, view.pod.metadata.uid, idsOf(view)).catch((error) =>
      shared.log.debug('cannot clear what a failed call left', { pod: podText(view.pod), error }),
    )

  const quitting = (): Promise<undefined> =>
    new Promise((resolve) => quit.addEventListener('abort', () => resolve(undefined), { once: true }))

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
    else if (error instanceof SandboxProblem) block(retryMs)
    else throw error
  }

  async function postStart(container: AnyContainer, record: ContainerRecord): Promise<void> {
    const hook = 'lifecycle' in container ? container.lifecycle?.postStart : undefined
    const running = view.containers.get(container.name)?.[0]
    if (!hook || running?.id !== record.id || !isRunning(running)) return
    running.hookRuns = true
    const target = { container, containerId: record.id, podIP: podIPs(view, shared.node)[0] ?? '' }
    const failed = await runPostStart(shared, view.pod, hook, target, quitting())
    running.hookRuns = false
    if (failed) failedHook(running)
    probing.watch(running)
  }

  return { makeSandbox, startOne }
}
