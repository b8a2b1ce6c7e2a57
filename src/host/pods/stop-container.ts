// Stops one container the gentle way: preStop hook, stop signal, the rest of the grace period, SIGKILL.

import { isNotFound } from './cri/client.ts'
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
  /** Aborted when there is no more patience: kill now. */
  hurry?: AbortSignal
}

/** After a hook that used the whole grace period the process still gets this (kubelet minimumGracePeriodInSeconds). */
const minGraceSeconds = 2
const second = 1000

export async function stopContainer(shared: Shared, request: StopRequest): Promise<void> {
  const { pod, container, record } = request
  const { cri } = shared.containerd
  shared.record(pod, 'Normal', 'Killing', request.message, fieldPathOf(pod, record.name))
  let grace = request.graceSeconds
  const preStop = container && 'lifecycle' in container ? container.lifecycle?.preStop : undefined
  if (preStop && container && grace > 0) {
    const began = shared.clock.now()
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
    grace = Math.max(grace - Math.round((shared.clock.now() - began) / second), minGraceSeconds)
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

const aborted = (signal: AbortSignal | undefined): Promise<'hurry'> =>
  new Promise((resolve) => {
    if (signal?.aborted) resolve('hurry')
    else signal?.addEventListener('abort', () => resolve('hurry'), { once: true })
  })
