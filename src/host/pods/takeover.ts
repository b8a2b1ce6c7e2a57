// Finds again what runs for a Pod, from the labels that its sandboxes and containers carry in the runtime.

import { type Cri, ignoreNotFound } from './cri/client.ts'
import { labels } from './names.ts'
import type { PodObject } from './pod.ts'
import { type ContainerRecord, containerRecord, couldNotStart, type SandboxRecord, sandboxRecord } from './records.ts'
import { reportedEnds } from './status.ts'

export interface Found {
  /** Newest first. */
  sandboxes: SandboxRecord[]
  /** By name, newest first. */
  containers: Map<string, ContainerRecord[]>
}

export async function takeOver(cri: Cri, pod: PodObject): Promise<Found> {
  const labelSelector = { [labels.podUid]: pod.metadata.uid }
  const told = reportedEnds(pod)
  const [{ items }, { containers }] = await Promise.all([
    cri.listPodSandbox({ filter: { labelSelector } }),
    cri.listContainers({ filter: { labelSelector } }),
  ])
  const [sandboxes, records] = await Promise.all([
    Promise.all(items.map(({ id }) => cri.podSandboxStatus({ podSandboxId: id }).catch(ignoreNotFound))),
    Promise.all(
      containers.map(async ({ id, podSandboxId }) => {
        const answer = await cri.containerStatus({ containerId: id }).catch(ignoreNotFound)
        if (!answer?.status) return undefined
        const record = containerRecord(answer.status, podSandboxId)
        // Nobody was told: the start was under way when Tandem ended, and was cut off with it, whatever the runtime calls
        // that. It never ran, so it neither failed nor counts as a restart.
        return couldNotStart(record) && !told.has(id) ? { ...record, state: 'created' as const } : record
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
