// The disks unpacked from containerDisk images, once per image: <images>/<digest>/<which>/{disk.img,disk.json}. What is
// there is complete: everything is made beside it and renamed into place.

import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rename, rm, statfs, writeFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import type { Ctr } from './ctr.ts'
import { unpacked } from './decompress.ts'
import { type DiskFormat, proveDiskFormat } from './disk-format.ts'
import { type ContainerDiskFile, type Image, ImageError } from './images.ts'
import { extractDisk, type UnpackLimits } from './layer-disk.ts'
import type { Manifest } from './manifest.ts'

const gibibyte = 2 ** 30

export const defaultLimits = { bytes: 256 * gibibyte, entries: 1_000_000, written: 128 * gibibyte }
/** Stays free on the file system whatever an image holds. */
const reserve = 256 * 1024 * 1024
const unpackPrefix = '.unpack-'

export interface DiskStoreOptions {
  directory: string
  ctr: Ctr
  limits?: UnpackLimits
  /** Whether a VM uses this file; default: whether a process has it open. */
  inUse?: (path: string) => Promise<boolean>
}

export interface DiskStore {
  /** As a disk, whose format is proved, or as a mere file. */
  get(image: Image, path?: string, as?: 'disk' | 'file'): Promise<ContainerDiskFile>
  /** Removes the disks of images that are gone and that no VM uses. */
  sweep(presentImageIds: string[]): Promise<void>
}

/** A disk that was just handed out may not be opened yet. */
const handedOutMs = 5 * 60_000

export function createDiskStore(options: DiskStoreOptions): DiskStore {
  const running = new Map<string, Promise<ContainerDiskFile>>()
  const handedOut = new Map<string, number>()
  const inUse = options.inUse ?? isOpen

  async function get(image: Image, path: string | undefined, as: 'disk' | 'file'): Promise<ContainerDiskFile> {
    const folder = join(options.directory, hexOf(image.id), folderFor(path, as))
    handedOut.set(folder, Date.now())
    const disk = join(folder, 'disk.img')
    const known = await readFile(join(folder, 'disk.json'), 'utf8').catch(() => undefined)
    if (known) return { path: disk, image, ...(JSON.parse(known) as DiskFormat) }
    const format = await unpackInto(folder, image, path, as)
    return { path: disk, image, ...format }
  }

  async function unpackInto(
    folder: string,
    image: Image,
    path: string | undefined,
    as: 'disk' | 'file',
  ): Promise<DiskFormat> {
    await mkdir(options.directory, { recursive: true, mode: 0o711 })
    const work = await mkdtemp(join(options.directory, unpackPrefix))
    try {
      const { file, name } = await extract(work, image, path)
      const format =
        as === 'disk'
          ? await proveDiskFormat(file, `${name} of the image`)
          : ({ format: 'raw', virtualSize: 0 } as const)
      const made = join(work, 'made')
      await mkdir(made)
      await rename(file, join(made, 'disk.img'))
      await chmod(join(made, 'disk.img'), 0o444) // QEMU runs as another user (107 in KubeVirt's images)
      await writeFile(join(made, 'disk.json'), JSON.stringify(format))
      await mkdir(posix.dirname(folder), { recursive: true, mode: 0o711 })
      await chmod(made, 0o711)
      await rename(made, folder)
      return format
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  }

  /** An image that has come under a name that was there before has no entry for its id. */
  async function manifestOf(image: Image): Promise<Manifest> {
    const { ctr } = options
    for (const name of [image.id, ...image.repoTags, ...image.repoDigests]) {
      const digest = await ctr.target(name)
      const manifest = digest === undefined ? undefined : await ctr.manifest(digest)
      // Meanwhile the name may have gone to another image.
      if (manifest?.config.digest === image.id) return manifest
    }
    throw new ImageError('ImageInspectError', `containerd has lost the image ${image.id}: pull or load it again`)
  }

  async function extract(work: string, image: Image, path?: string) {
    const { ctr } = options
    const limits = await withinFreeSpace(options.directory, options.limits ?? defaultLimits)
    try {
      const { layers } = await manifestOf(image)
      return await extractDisk(
        layers.map((layer) => unpacked(() => ctr.blob(layer))),
        path,
        work,
        limits,
      )
    } catch (error) {
      if (error instanceof ImageError) throw error
      throw new ImageError('InvalidImage', `cannot read the disk of the image: ${(error as Error).message}`, {
        cause: error,
      })
    }
  }

  return {
    get(image, path, as = 'disk') {
      const key = `${image.id} ${path ?? ''} ${as}`
      let shared = running.get(key)
      if (!shared) {
        shared = get(image, path, as).finally(() => running.delete(key))
        running.set(key, shared)
      }
      return shared
    },
    async sweep(presentImageIds) {
      const present = new Set(presentImageIds.map(hexOf))
      for (const name of await readdir(options.directory).catch(() => [])) {
        if (present.has(name) || name.startsWith(unpackPrefix)) continue
        for (const which of await readdir(join(options.directory, name))) {
          const folder = join(options.directory, name, which)
          if (Date.now() - (handedOut.get(folder) ?? 0) < handedOutMs || (await inUse(join(folder, 'disk.img'))))
            continue
          await rm(folder, { recursive: true, force: true })
        }
        const left = await readdir(join(options.directory, name))
        if (left.length === 0) await rm(join(options.directory, name), { recursive: true, force: true })
      }
    },
  }
}

/** What a former run was unpacking when it ended. Only at start, when nobody unpacks. */
export async function removeHalfUnpacked(directory: string): Promise<void> {
  for (const name of await readdir(directory).catch(() => []))
    if (name.startsWith(unpackPrefix)) await rm(join(directory, name), { recursive: true, force: true })
}

const hexOf = (imageId: string) => imageId.replace(/^sha256:/, '')

const folderFor = (path: string | undefined, as: 'disk' | 'file') =>
  path === undefined
    ? 'disk'
    : `${as === 'disk' ? 'at' : 'file'}-${createHash('sha256').update(posix.join('/', path)).digest('hex').slice(0, 16)}`

async function withinFreeSpace(directory: string, limits: UnpackLimits): Promise<UnpackLimits> {
  const { bavail, bsize } = await statfs(directory)
  return { ...limits, written: Math.max(0, Math.min(limits.written, bavail * bsize - reserve)) }
}

/** Whether any process of this machine has the file open. */
async function isOpen(path: string): Promise<boolean> {
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    const folder = `/proc/${pid}/fd`
    for (const fd of await readdir(folder).catch(() => []))
      if ((await readlink(join(folder, fd)).catch(() => '')) === path) return true
  }
  return false
}
