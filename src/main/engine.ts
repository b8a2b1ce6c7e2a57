// containerd and the images on it: what runs Pods, and what image commands need even while Tandem does not run.

import { mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Logger } from '../base/log.ts'
import { cpuShares, weigh } from '../host/cpu-weight.ts'
import { createImages, type ManagedImages } from '../host/images/containerd-images.ts'
import { microvmHandler, microvmRuntime } from '../host/microvm/handler.ts'
import { otherRuntimes } from '../host/microvm/other-vmm.ts'
import { createRemains } from '../host/microvm/remains.ts'
import { besideHandler, besideRuntime } from '../host/pods/beside/beside-machine.ts'
import { type Containerd, createContainerd } from '../host/pods/containerd.ts'
import { runtimesOfMachine } from '../host/pods/runtimes/discover.ts'
import type { StatePaths } from '../host/state.ts'

export const home = resolve(import.meta.dirname, '../..')

/** Made here from images/pause; nothing has to be pulled for the first Pod. */
export const pauseImage = 'tandem.dev/pause:1'

export interface Engine {
  containerd: Containerd
  images: ManagedImages
}

export const cgroupOf = (instance: string): string => `/tandem-${instance}`

/** All Pods and machines together weigh what the machine has, as below a kubelet, and not as one program among others. */
export function weighWorkloads(instance: string, processors: number, log: Logger): void {
  try {
    weigh(cgroupOf(instance), cpuShares(1000 * processors))
  } catch (error) {
    log.warn('where processor time is short, all workloads together get as much as one other program', { error })
  }
}

export function openEngine(paths: StatePaths, instance: string): Engine {
  const containerd = createContainerd({
    paths,
    sandboxImage: pauseImage,
    cgroupParent: cgroupOf(instance),
    runtimes: {
      ...runtimesOfMachine(),
      [besideHandler]: besideRuntime(),
      [microvmHandler]: microvmRuntime(paths),
      ...otherRuntimes(paths),
    },
    beside: createRemains(paths.microvm),
  })
  const images = createImages({ cri: containerd.cri, socket: containerd.socket, paths })
  return { containerd, images }
}

export async function providePauseImage({ images }: Pick<Engine, 'images'>, paths: StatePaths): Promise<void> {
  if (await images.find(pauseImage)) return
  const folder = join(paths.root, 'pause-image')
  mkdirSync(folder, { recursive: true })
  try {
    // Once in the life of a state directory: what builds images need not stay in memory.
    const { buildImage } = await import('../host/images/build/build-image.ts')
    const output = join(folder, 'pause.tar')
    await buildImage(join(home, 'images/pause/recipe.yaml'), { output, cacheDir: folder })
    await images.load(output)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
