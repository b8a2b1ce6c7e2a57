// Images on Tandem's containerd: the CRI image service for what it can, containerd's own client for the rest.

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { normalizeImageName } from '../../kinds/core/image-name.ts'
import { type Cri, isNotFound } from '../pods/cri/client.ts'
import type { StatePaths } from '../state.ts'
import { archiveLimits, importArchive } from './archive.ts'
import { createCtr } from './ctr.ts'
import { createDiskStore, type DiskStoreOptions, removeHalfUnpacked } from './disk-store.ts'
import { type Image, ImageError, type ImagePullAuth, type Images } from './images.ts'
import { readLayerLimits, refusalIn } from './layer-limits.ts'
import { ManifestError } from './manifest.ts'
import { authsFor } from './pull-auth.ts'
import { NoRoom, roomOf, whileThereIsRoom } from './pull-guard.ts'
import { allowPlainHttp, registryOf } from './registry-hosts.ts'

export interface ImagesOptions {
  cri: Pick<Cri, 'listImages' | 'imageStatus' | 'pullImage' | 'removeImage'>
  /** containerd's socket. */
  socket: string
  paths: Pick<StatePaths, 'root' | 'images'>
  inUse?: DiskStoreOptions['inUse']
  limits?: DiskStoreOptions['limits']
}

export interface ManagedImages extends Images {
  /** Once, before anything else: removes what a former run left half done. */
  start(): Promise<void>
  /** Removes unpacked disks whose image is gone and that no VM uses; `remove` and `pull` do it too. */
  sweep(): Promise<void>
}

const reference =
  /^[a-z0-9][a-z0-9.-]*(:\d+)?(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)+(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?$/i

/** @throws ImageError InvalidImageName */
export function checkedImageName(name: string): string {
  if (/^sha256:[0-9a-f]{64}$/.test(name)) return name
  const full = normalizeImageName(name)
  if (name.length > 512 || !reference.test(full) || /[A-Z]/.test(full.replace(/[:@][^/]*$/, '')))
    throw new ImageError(
      'InvalidImageName',
      `Failed to apply default image tag "${name}": couldn't parse image name "${name}": invalid reference format`,
    )
  return full
}

export function createImages(options: ImagesOptions): ManagedImages {
  const { cri, paths } = options
  const ctr = createCtr(options.socket)
  const disks = createDiskStore({ directory: paths.images, ctr, inUse: options.inUse, limits: options.limits })

  async function status(name: string): Promise<Image | undefined> {
    const { image } = await cri.imageStatus({ image: { image: name } })
    return image?.id ? toImage(image) : undefined
  }

  async function list(): Promise<Image[]> {
    const { images } = await cri.listImages({})
    return images.map(toImage)
  }

  const sweep = async () => disks.sweep((await list()).map((image) => image.id))

  async function pullOnce(name: string, auth: ImagePullAuth | undefined): Promise<void> {
    const request = { image: { image: name }, ...(auth && { auth }) }
    await whileThereIsRoom((signal) => cri.pullImage(request, { signal }), roomOf(paths.root))
  }

  /** In words for a person; what was refused takes no room any more. */
  async function pullFailed(name: string, error: unknown): Promise<ImageError> {
    const { message } = error as Error
    const refused = error instanceof NoRoom ? message : refusalIn(message)
    if (refused !== undefined) await ctr.collectGarbage().catch(() => {})
    const words = refused === undefined ? message : `failed to pull and unpack image "${name}": ${refused}`
    return new ImageError('ErrImagePull', words, { cause: error })
  }

  async function removeName(full: string): Promise<void> {
    const image = await status(full)
    if (!image) return
    // CRI removes all names of an image at once; one name of several goes alone.
    if (image.repoTags.length > 1 && image.repoTags.includes(full)) await ctr.removeName(full)
    else {
      await cri.removeImage({ image: { image: full } }).catch((error) => {
        if (!isNotFound(error)) throw error
      })
    }
  }

  /** Digests of manifests. */
  const checked = new Set<string>()

  /** containerd takes layers that say they are something else, and fetches them from anywhere: not here. */
  async function refuseOddLayers(name: string, { id }: Image): Promise<void> {
    const digest = (await ctr.target(name)) ?? (await ctr.target(id))
    if (!digest || checked.has(digest)) return
    try {
      await ctr.manifest(digest)
      checked.add(digest)
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error
      await removeName(name)
      await ctr.collectGarbage().catch(() => {})
      throw new ImageError('ErrImagePull', `failed to pull image "${name}": ${error.message}`, { cause: error })
    }
  }

  /** Every credential that fits, then none; the error of the first is what the person needs. */
  async function pull(name: string, auths: ImagePullAuth[]): Promise<Image> {
    const full = checkedImageName(name)
    const registry = registryOf(full)
    await allowPlainHttp(join(paths.root, 'registries'), registry)
    let failure: unknown
    for (const auth of [...authsFor(full, auths), undefined]) {
      try {
        await pullOnce(full, auth)
        failure = undefined
        break
      } catch (error) {
        failure ??= error
      }
    }
    if (failure) throw await pullFailed(full, failure)
    const image = await status(full)
    if (!image) throw new ImageError('ErrImagePull', `containerd pulled ${full} but does not list it`)
    await refuseOddLayers(full, image)
    void sweep().catch(() => {})
    return image
  }

  /** CRI learns of an import by an event: wait until it answers with what was imported. */
  async function appear(name: string, id: string): Promise<Image> {
    for (const end = Date.now() + 15_000; Date.now() < end; await sleep(20)) {
      const image = await status(name)
      if (image?.id === id) return image
    }
    throw new ImageError('ImageInspectError', `containerd imported ${name} but does not list it`)
  }

  async function present(name: string): Promise<Image> {
    const image = await status(checkedImageName(name))
    if (image) return image
    throw new ImageError('ImageInspectError', `image "${name}" is not on this machine: pull or load it first`)
  }

  return {
    list,
    sweep,
    pull,
    start: () => removeHalfUnpacked(paths.images),
    find: async (name) => status(checkedImageName(name)),
    async remove(name) {
      await removeName(checkedImageName(name))
      await sweep()
    },
    async load(path) {
      const loaded = await importArchive(path, ctr, archiveLimits, readLayerLimits(paths.root))
      const images = await Promise.all(loaded.map(({ name, id }) => appear(name, id)))
      void sweep().catch(() => {})
      return [...new Map(images.map((image) => [image.id, image])).values()]
    },
    containerDisk: async (name, path) => disks.get(await present(name), path),
    fileOf: async (name, path) => (await disks.get(await present(name), path, 'file')).path,
  }
}

const toImage = (image: { id: string; repoTags: string[]; repoDigests: string[]; size: number | bigint }): Image => ({
  id: image.id,
  repoTags: image.repoTags,
  repoDigests: image.repoDigests,
  sizeBytes: Number(image.size),
})
