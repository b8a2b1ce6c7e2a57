// Room on a full disk: dead containers and images that nobody uses go.

import type { ResourceRef } from '../api/meta.ts'
import type { Logger } from '../base/log.ts'
import type { Client } from '../client/client.ts'
import { imageNames, unusedImages } from '../host/eviction/unused-images.ts'
import type { Images } from '../host/images/images.ts'
import type { Pods } from '../host/pods/pods.ts'

const users: ResourceRef[] = [
  { group: '', version: 'v1', resource: 'pods' },
  { group: 'kubevirt.io', version: 'v1', resource: 'virtualmachineinstances' },
  { group: 'kubevirt.io', version: 'v1', resource: 'virtualmachines' },
]

export interface RoomOptions {
  client: Client
  images: Pick<Images, 'list' | 'remove'>
  pods: Pick<Pods, 'forgetDead'>
  /** Images without which nothing starts. */
  needed: string[]
  log: Logger
}

export async function makeRoom({ client, images, pods, needed, log }: RoomOptions): Promise<void> {
  pods.forgetDead()
  const used = new Set(needed)
  for (const ref of users) imageNames((await client.list(ref)).items, used)
  for (const image of unusedImages(await images.list(), used)) {
    log.warn('an image that nobody uses is removed: the disk is full', { image: image.repoTags[0] ?? image.id })
    const names = image.repoTags.length > 0 ? image.repoTags : image.repoDigests
    for (const name of names)
      await images.remove(name).catch((error) => log.warn('cannot remove an image', { name, error }))
  }
}
