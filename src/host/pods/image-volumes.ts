// Volumes that come out of an image (spec.volumes[].image): pulled like the image of a container, mounted read-only.

import { readdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createImageRoots } from '../images/image-roots.ts'
import type { PodObject } from './pod.ts'
import type { PodFiles } from './pod-files.ts'
import type { Puller } from './pulling.ts'

export interface ImageVolumes {
  /** The path to bind into containers. @throws ImageNotReady */
  mount(pod: PodObject, name: string, source: { reference?: string; pullPolicy?: string }): Promise<string>
  /** All of the Pod. Idempotent. */
  unmountAll(podUid: string): Promise<void>
}

export function createImageVolumes(socket: string, files: PodFiles, puller: Puller): ImageVolumes {
  const roots = createImageRoots(socket)
  const folder = (uid: string) => join(files.root(uid), 'image-volumes')
  const keyOf = (uid: string, name: string) => `tandem-volume-${uid}-${name}`
  return {
    async mount(pod, name, { reference = '', pullPolicy }) {
      const { uid } = pod.metadata
      const image = await puller.ensure(pod, { name, image: reference, imagePullPolicy: pullPolicy as never })
      const target = join(folder(uid), name)
      await roots.mount(image.id, keyOf(uid, name), target)
      return target
    },
    async unmountAll(uid) {
      for (const name of await readdir(folder(uid)).catch(() => []))
        await roots.unmount(keyOf(uid, name), join(folder(uid), name))
      await rmdir(folder(uid)).catch(() => {})
    },
  }
}
