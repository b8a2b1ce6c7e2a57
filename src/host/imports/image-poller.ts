// Looks what a DataImportCron's image is now, when its controller says that it is time, and notes the digest on it.

import { objectKey, type ResourceRef, type StoredObject } from '../../api/meta.ts'
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../base/log.ts'
import { createReconciler } from '../../client/reconciler.ts'
import { desiredDigest, lastCronTime, pinnedReference } from '../../kinds/cdi/annotations.ts'
import type { Image } from '../images/images.ts'
import type { EventRecorder } from '../workload.ts'
import { createMaterials, type MaterialTools } from './materials.ts'

const crons: ResourceRef = { group: 'cdi.kubevirt.io', version: 'v1beta1', resource: 'dataimportcrons' }

/** The digest of an image, and a name that means this image only; an image that was loaded by hand has no such name. */
export function identityOf(image: Image, url: string): { digest: string; pinned?: string } {
  const name = url.replace(/^docker:\/\//, '')
  const repository = name.replace(/@.*$/, '').replace(/:[^/:]*$/, '')
  const own =
    image.repoDigests.find((reference) => reference.split('@')[0]!.endsWith(repository)) ?? image.repoDigests[0]
  const digest = own?.split('@')[1]
  return digest ? { digest, pinned: `docker://${repository}@${digest}` } : { digest: image.id }
}

export function createImagePoller(options: MaterialTools & { record: EventRecorder; clock: Clock; log: Logger }): {
  start(): Promise<void>
  stop(): Promise<void>
} {
  const { client, informers, record, clock, log } = options
  const informer = informers.informer(crons)
  const materials = createMaterials(options)
  /** When each was looked at, by uid: a restart looks once more. */
  const looked = new Map<string, string>()

  async function poll(cron: StoredObject): Promise<void> {
    const registry = cron.spec.template?.spec?.source?.registry
    const time = cron.metadata.annotations?.[lastCronTime]
    const { uid, name, namespace } = cron.metadata
    if (!registry || !time || looked.get(uid) === time) return
    try {
      const image = await materials.image(namespace!, registry.url.replace(/^docker:\/\//, ''), registry.secretRef)
      const { digest, pinned } = identityOf(image, registry.url)
      const annotations = { [desiredDigest]: digest, [pinnedReference]: pinned ?? null }
      await client.patch(crons, name, namespace, 'merge', { metadata: { uid, annotations } })
      looked.set(uid, time)
    } catch (error) {
      record(cron, 'Warning', 'PollFailed', (error as Error).message.slice(0, 1000))
      throw error
    }
  }

  const reconciler = createReconciler({
    name: 'image-poller',
    async reconcile(key) {
      const cron = informer.get(key)
      if (cron && !cron.metadata.deletionTimestamp) await poll(cron)
    },
    clock,
    log,
    concurrency: 1,
  })

  return {
    async start() {
      await informer.synced()
      informer.addHandler({
        changed: (cron) => reconciler.enqueue(objectKey(cron)),
        removed: (cron) => looked.delete(cron.metadata.uid),
      })
      reconciler.start()
    },
    stop: () => reconciler.stop(),
  }
}
