// Removes containers and sandboxes from the runtime, in whatever state a call that was broken off has left them.

import { retry } from '../../base/retry.ts'
import { type Cri, ignoreNotFound } from './cri/client.ts'
import { labels } from './names.ts'

/** Idempotent. The container has ended; one that runs is killed. */
export async function removeContainer(cri: Cri, containerId: string): Promise<void> {
  try {
    await cri.removeContainer({ containerId })
  } catch (error) {
    if (!hasTaskLeft(error)) return ignoreNotFound(error)
    await cri.endTask(containerId)
    await cri.removeContainer({ containerId }).catch(ignoreNotFound)
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
  for (const { id } of containers) if (!known.has(id)) await removeContainer(cri, id)
}

/**
 * Stops and removes a sandbox with all containers in it. Idempotent. A container whose start is under way, perhaps asked
 * for by a Tandem that is gone, can neither be stopped nor removed until it runs.
 */
export async function removeSandbox(cri: Cri, podSandboxId: string): Promise<void> {
  await retry(
    async () => {
      await cri.stopPodSandbox({ podSandboxId }).catch(ignoreNotFound)
      const { containers } = await cri.listContainers({ filter: { podSandboxId } })
      await Promise.all(containers.map(({ id }) => removeContainer(cri, id)))
      await cri.removePodSandbox({ podSandboxId }).catch(ignoreNotFound)
    },
    { base: 50, attempts: 8, retryable: isPassing },
  )
}

/**
 * containerd (1.6) gives these refusals no code of their own. The network is taken away by two at once where a sandbox that
 * ended by itself is removed, and who comes second finds it gone; asked again he finds all done.
 */
const isPassing = (error: unknown): boolean =>
  error instanceof Error && /is in starting state|failed to destroy network for sandbox/.test(error.message)

/**
 * A client that went away while a container was started: containerd (1.6) notes that the start has failed, and leaves the
 * task that it had made already.
 */
const hasTaskLeft = (error: unknown): boolean =>
  error instanceof Error && error.message.includes('cannot delete running task')
