// Making and deleting Pods for an owner, with upstream's events, many at once without flooding a server that refuses them
// (controller_utils.go and slowStartBatch, 1.32).

import { isApiError } from '../api/errors.ts'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import type { Client } from '../client/client.ts'
import type { EventRecorder } from '../client/record.ts'
import { controllerReference } from './ownership.ts'
import { pods } from './resources.ts'

/** More at once are left for the next round. */
export const burstReplicas = 500

/** The Pod that a template asks for. Pure. */
export function podFromTemplate(owner: StoredObject, template: any, generateName?: string): ApiObject {
  const { labels, annotations, finalizers } = template.metadata ?? {}
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: generateName ?? `${owner.metadata.name}-`,
      namespace: owner.metadata.namespace!,
      labels: { ...labels },
      annotations: { ...annotations },
      ...(finalizers?.length && { finalizers: [...finalizers] }),
      ownerReferences: [controllerReference(owner)],
    },
    spec: template.spec,
  }
}

/** A namespace that is being deleted takes no new objects; that is no failure of the controller. */
export const isNamespaceTerminating = (error: unknown): boolean =>
  isApiError(error, 'Forbidden') &&
  Boolean(error.details?.causes?.some((cause) => cause.reason === 'NamespaceTerminating'))

export interface PodControl {
  create(owner: StoredObject, pod: ApiObject): Promise<StoredObject>
  delete(owner: StoredObject, pod: StoredObject): Promise<void>
}

export function createPodControl(client: Client, record: EventRecorder): PodControl {
  return {
    async create(owner, pod) {
      try {
        const created = await client.create(pods, pod)
        record(owner, 'Normal', 'SuccessfulCreate', `Created pod: ${created.metadata.name}`)
        return created
      } catch (error) {
        if (!isNamespaceTerminating(error))
          record(owner, 'Warning', 'FailedCreate', `Error creating: ${(error as Error).message}`)
        throw error
      }
    },
    async delete(owner, pod) {
      const { name, namespace, uid } = pod.metadata
      try {
        await client.delete(pods, name, namespace, { preconditions: { uid } })
        record(owner, 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`)
      } catch (error) {
        if (isApiError(error, 'NotFound')) return
        record(owner, 'Warning', 'FailedDelete', `Error deleting: ${(error as Error).message}`)
        throw error
      }
    },
  }
}

/** Does `count` actions in batches of 1, 2, 4 …; after a batch with a failure no further one begins. Throws the first error. */
export async function inGrowingBatches(count: number, action: (index: number) => Promise<unknown>): Promise<void> {
  for (let done = 0, size = 1; done < count; size *= 2) {
    const batch = Array.from({ length: Math.min(size, count - done) }, (_, index) => action(done + index))
    const failed = (await Promise.allSettled(batch)).find((result) => result.status === 'rejected')
    if (failed) throw failed.reason
    done += batch.length
  }
}
