// Lifecycle hooks of a container: postStart and preStop (exec, httpGet, tcpSocket, sleep).

import { setTimeout as sleep } from 'node:timers/promises'
import type { LifecycleHandler } from 'kubernetes-types/core/v1.js'
import type { Cri } from './cri/client.ts'
import { actionUrl, httpGet } from './http-check.ts'
import type { Shared } from './options.ts'
import { type AnyContainer, fieldPathOf, type PodObject } from './pod.ts'

export interface HookTarget {
  container: AnyContainer
  containerId: string
  podIP: string
}

const noLimitMs = 24 * 60 * 60 * 1000

/** True when the hook failed: the container has to go. */
export async function runPostStart(
  shared: Shared,
  pod: PodObject,
  hook: LifecycleHandler,
  target: HookTarget,
  quitting: Promise<unknown>,
): Promise<boolean> {
  try {
    await Promise.race([runHook(shared.containerd.cri, hook, target), quitting])
    return false
  } catch (error) {
    const message = `PostStartHook failed: ${(error as Error).message}`
    shared.record(pod, 'Warning', 'FailedPostStartHook', message, fieldPathOf(pod, target.container.name))
    return true
  }
}

/** @throws Error with what the hook said */
export async function runHook(
  cri: Cri,
  handler: LifecycleHandler,
  target: HookTarget,
  limitMs = noLimitMs,
): Promise<void> {
  if (handler.exec) {
    const cmd = handler.exec.command ?? []
    const timeout = Math.ceil(limitMs / 1000)
    const answer = await cri.execSync({ containerId: target.containerId, cmd, timeout }, { deadlineMs: limitMs + 5000 })
    if (answer.exitCode === 0) return
    const said = `${Buffer.from(answer.stdout)}${Buffer.from(answer.stderr)}`
    throw new Error(`command '${cmd.join(' ')}' exited with ${answer.exitCode}: ${said}`)
  }
  if (handler.httpGet) {
    const url = actionUrl(handler.httpGet, target.container, target.podIP)
    const answer = await httpGet(url, handler.httpGet, Math.min(limitMs, 60_000), 'kube-lifecycle/1.36')
    if (answer.status >= 400) throw new Error(`HTTP hook failed with status ${answer.status}`)
    return
  }
  const seconds = (handler as { sleep?: { seconds: number } }).sleep?.seconds
  if (seconds) await sleep(Math.min(seconds * 1000, limitMs))
}
