// Stops one container the gentle way: preStop hook, stop signal, the rest of the grace period, SIGKILL.

import { constants } from 'node:os'
import { isNotFound } from './cri/client.ts'
import { containerState } from './cri/messages.ts'
import { runHook } from './hooks.ts'
import type { Shared } from './options.ts'
import { type AnyContainer, fieldPathOf, type PodObject } from './pod.ts'
import type { ContainerRecord } from './records.ts'

export interface StopRequest {
  pod: PodObject
  container: AnyContainer | undefined
  record: ContainerRecord
  graceSeconds: number
  /** For the Killing event. */
  message: string
  podIP: string
  /** Resolves when those before it are gone: the preStop hook does not wait for it, the signal does. */
  turn?: Promise<unknown>
  /** Aborted when there is no more patience: kill now. */
  hurry?: AbortSignal
}

/** After a hook that used the whole grace period the process still gets this (kubelet minimumGracePeriodInSeconds). */
const minGraceSeconds = 2
const second = 1000
const pollMs = 100

export async function stopContainer(shared: Shared, request: StopRequest): Promise<void> {
  const { pod, container, record } = request
  const { cri } = shared.containerd
  shared.record(pod, 'Normal', 'Killing', request.message, fieldPathOf(pod, record.name))
  let grace = request.graceSeconds
  const began = shared.clock.now()
  const preStop = container && 'lifecycle' in container ? container.lifecycle?.preStop : undefined
  if (preStop && container && grace > 0) {
    const target = { container, containerId: record.id, podIP: request.podIP }
    const hook = runHook(cri, preStop, target, grace * second).catch((error: Error) => {
      shared.record(
        pod,
        'Warning',
        'FailedPreStopHook',
        `PreStopHook failed: ${error.message}`,
        fieldPathOf(pod, record.name),
      )
    })
    await Promise.race([hook, aborted(request.hurry), shared.clock.sleep(grace * second)])
  }
  const left = () => Math.max(request.graceSeconds - Math.round((shared.clock.now() - began) / second), minGraceSeconds)
  if (preStop && grace > 0) grace = left()
  if (request.turn) {
    await Promise.race([request.turn, aborted(request.hurry), shared.clock.sleep(grace * second)])
    grace = Math.min(grace, left())
  }
  const signal = container && 'lifecycle' in container ? stopSignalOf(container.lifecycle) : undefined
  if (signal && grace > 0 && !request.hurry?.aborted) {
    await signalled(shared, record.id, signal, grace, request.hurry)
    grace = 0
  }
  const stop = (timeout: number) =>
    cri
      .stopContainer({ containerId: record.id, timeout }, { deadlineMs: (timeout + 30) * second })
      .catch((error: unknown) => {
        if (!isNotFound(error)) throw error
      })
  if (request.hurry?.aborted) return void (await stop(0))
  const gentle = stop(grace)
  gentle.catch(() => {})
  const first = await Promise.race([gentle.then(() => 'stopped' as const), aborted(request.hurry)])
  if (first !== 'stopped') await stop(0)
}

const stopSignalOf = (lifecycle: unknown): string | undefined => (lifecycle as { stopSignal?: string })?.stopSignal

/** CRI (of containerd 1.6) only knows the image's stop signal: another one goes to the task. */
async function signalled(
  shared: Shared,
  containerId: string,
  signal: string,
  grace: number,
  hurry?: AbortSignal,
): Promise<void> {
  const { cri } = shared.containerd
  try {
    await cri.signal(containerId, signalNumber(signal))
  } catch (error) {
    if (isNotFound(error)) return
    throw error
  }
  for (const end = shared.clock.now() + grace * second; shared.clock.now() < end && !hurry?.aborted; ) {
    const { status } = await cri.containerStatus({ containerId })
    if (status?.state !== containerState.running) return
    await shared.clock.sleep(pollMs)
  }
}

/** Also the real-time signals that Node has no names for: SIGRTMIN+3, SIGRTMAX-1 (Linux, glibc: 34 to 64). */
export function signalNumber(name: string): number {
  const realTime = /^SIGRT(MIN|MAX)([+-]\d+)?$/.exec(name)
  if (realTime) return (realTime[1] === 'MIN' ? 34 : 64) + Number(realTime[2] ?? 0)
  const aliases: Record<string, string> = { SIGCLD: 'SIGCHLD' }
  const number = (constants.signals as Record<string, number>)[aliases[name] ?? name]
  if (number === undefined) throw new Error(`there is no signal ${name}`)
  return number
}

const aborted = (signal: AbortSignal | undefined): Promise<'hurry'> =>
  new Promise((resolve) => {
    if (signal?.aborted) resolve('hurry')
    else signal?.addEventListener('abort', () => resolve('hurry'), { once: true })
  })
