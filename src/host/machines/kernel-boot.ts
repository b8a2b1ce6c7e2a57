// A guest that boots a kernel and an initial file system out of a container image, without firmware looking for a disk
// (spec.domain.firmware.kernelBoot).

import type { StoredObject } from '../../api/meta.ts'
import { ImageError, type Images } from '../images/images.ts'
import { ensureImage, unlessAborted } from './container-image.ts'
import { giveTo, type Owner, openDisk } from './disk-files.ts'
import { Inexpressible } from './option.ts'
import type { Sources } from './sources.ts'
import { specOf } from './vmi.ts'
import { Waiting } from './waiting.ts'

export interface KernelBoot {
  kernel: string
  initrd?: string
  args?: string
}

interface PreparedKernel {
  /** Open, for QEMU. */
  kernel: number
  initrd?: number
  args?: string
  /** Files of the image, which others may use as well. */
  shared: string[]
}

export async function prepareKernel(
  rooms: { images: Images; sources: Sources; owner?: Owner },
  object: StoredObject,
  signal: AbortSignal,
): Promise<PreparedKernel | undefined> {
  const { container, kernelArgs } = specOf(object).domain.firmware?.kernelBoot ?? {}
  if (!container) return undefined
  const { image, kernelPath, initrdPath } = container
  if (!kernelPath)
    throw new Inexpressible('spec.domain.firmware.kernelBoot.container.initrdPath: QEMU needs kernelPath beside it')
  const shared: string[] = []
  const open = async (path: string) => {
    const file = await unlessAborted(rooms.images.fileOf(image, path), signal)
    shared.push(file)
    const opened = openDisk(file, false)
    giveTo(opened, false, rooms.owner)
    return opened
  }
  try {
    await ensureImage(rooms, object, container, signal)
    const kernel = await open(kernelPath)
    return { kernel, ...(initrdPath && { initrd: await open(initrdPath) }), args: kernelArgs, shared }
  } catch (error) {
    const known = error instanceof Waiting || error instanceof ImageError
    throw new Waiting(
      known ? error.reason : 'SyncFailed',
      `kernelBoot (image "${image}"): ${(error as Error).message}`,
      { cause: error },
    )
  }
}

export const kernelArgs = (boot: KernelBoot | undefined): string[] =>
  boot
    ? [
        ...['-kernel', boot.kernel],
        ...(boot.initrd ? ['-initrd', boot.initrd] : []),
        ...(boot.args ? ['-append', boot.args] : []),
      ]
    : []
