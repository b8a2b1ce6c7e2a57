// Finds again what runs for a Pod, from the labels that its sandboxes and containers carry in the runtime.

import { retry } from '../../base/retry.ts'
import { type Cri, isNotFound } from './cri/client.ts'
import { labels } from './names.ts'
import { type ContainerRecord, containerRecord, type SandboxRecord, sandboxRecord } from './records.ts'

export interface Found {
  /** Newest first. */
  sandboxes: SandboxRecord[]
  /** By name, newest first. */
  containers: Map<string, ContainerRecord[]>
}

export const ignoreNotFound = (error: unknown): undefined => {
  if (isNotFound(error)) return undefined
  throw error
}

export async function takeOver(cri: Cri, uid: string): Promise<Found> {
  const labelSelector = { [labels.podUid]: uid }
  const [{ items }, { containers }] = await Promise.all([
    cri.listPodSandbox({ filter: { labelSelector } }),
    cri.listContainers({ filter: { labelSelector } }),
  ])
  const [sandboxes, records] = await Promise.all([
    Promise.all(items.map(({ id }) => cri.podSandboxStatus({ podSandboxId: id }).catch(ignoreNotFound))),
    Promise.all(
      containers.map(async ({ id, podSandboxId }) => {
        const answer = await cri.containerStatus({ containerId: id }).catch(ignoreNotFound)
        return answer?.status && containerRecord(answer.status, podSandboxId)
      }),
    ),
  ])
  const byName = new Map<string, ContainerRecord[]>()
  for (const record of records) if (record) byName.set(record.name, [...(byName.get(record.name) ?? []), record])
  for (const list of byName.values()) list.sort((a, b) => b.restartCount - a.restartCount)
  return {
    sandboxes: sandboxes
      .flatMap((answer) => (answer?.status ? [sandboxRecord(answer.status)] : []))
      .sort((a, b) => b.attempt - a.attempt || b.createdAt - a.createdAt),
    containers: byName,
  }
}

/**
 * Removes all of a Pod but what is known: a call that failed for us may have come to its end in the runtime, and what it
 * made has the name that the next try needs.
 */
export async function removeUnknown(cri: Cri, uid: string, known: Set<string>): Promise<void> {
  const labelSelector = { [labels.podUid]: uid }
  const { items } = await cri.listPodSandbox({ filter: { labelSelector } })
  for (const { id } of items) if (!known.has(id)) await removeSandbox(cri, id)
  const { containers } = await cri.listContainers({ filter: { labelSelector } })
  for (const { id } of containers)
    if (!known.has(id)) await cri.removeContainer({ containerId: id }).catch(ignoreNotFound)
}

/**
 * Stops and removes a sandbox with all containers in it. Idempotent. A container whose start is under way, perhaps asked
 * for by a Tandem that is gone, can neither be stopped nor removed until it runs.
 */
export async function removeSandbox(cri: Cri, podSandboxId: string): Promise<void> {
  await retry(
    async () => {
      await cri.stopPodSandbox({ podSandboxId }).catch(ignoreNotFound)
      await cri.removePodSandbox({ podSandboxId }).catch(ignoreNotFound)
    },
    { base: 50, attempts: 8, retryable: isStarting },
  )
}

/** containerd (1.6) gives this refusal no code of its own. */
const isStarting = (error: unknown): boolean => error instanceof Error && error.message.includes('is in starting state')
