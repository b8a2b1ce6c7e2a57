// The file system of an image, read-only at a path of this machine: for volumes that come out of an image. containerd 1.6
// has no such volumes itself, but its snapshots are what it would mount.

import { createHash } from 'node:crypto'
import { mkdir, rmdir } from 'node:fs/promises'
import { run } from '../exec.ts'

export interface ImageRoots {
  /** `key` names the mount in containerd and keeps the layers from being collected. Idempotent. */
  mount(imageId: string, key: string, target: string): Promise<void>
  /** Idempotent. */
  unmount(key: string, target: string): Promise<void>
}

/** The name of a stack of layers (OCI image-spec, layer ChainID). */
export const chainId = (layers: string[]): string =>
  layers.reduce((below, layer) =>
    below ? `sha256:${createHash('sha256').update(`${below} ${layer}`).digest('hex')}` : layer,
  )

/** 'mount -t overlay overlay /target -o index=off,…' as argv, read-only and without programs. */
export function mountArgv(line: string, target: string): string[] {
  const found = /^mount -t (\S+) (\S+) \S+ -o (\S+)$/.exec(line.trim())
  if (!found) throw new Error(`cannot read the mount of a snapshot: ${line}`)
  const [, type = '', source = '', options = ''] = found
  const kept = options.split(',').filter((option) => option !== 'rw')
  return ['mount', '-t', type, source, target, '-o', [...kept, 'ro', 'noexec', 'nosuid', 'nodev'].join(',')]
}

export function createImageRoots(socket: string): ImageRoots {
  const ctr = (...args: string[]) => run(['ctr', '--address', socket, '--namespace', 'k8s.io', ...args])
  const isMounted = async (target: string) =>
    (await run(['mountpoint', '-q', target], { allowFailure: true })).code === 0

  async function layersOf(imageId: string): Promise<string[]> {
    const { stdout } = await ctr('content', 'get', imageId)
    const config = JSON.parse(stdout) as { rootfs?: { diff_ids?: string[] } }
    const layers = config.rootfs?.diff_ids ?? []
    if (layers.length === 0) throw new Error(`image ${imageId} has no layers`)
    return layers
  }

  return {
    async mount(imageId, key, target) {
      if (await isMounted(target)) return
      await mkdir(target, { recursive: true, mode: 0o755 })
      const parent = chainId(await layersOf(imageId))
      await ctr('snapshots', 'prepare', key, parent).catch((error: Error) => {
        if (!error.message.includes('already exists')) throw error
      })
      const { stdout } = await ctr('snapshots', 'mounts', target, key)
      await run(mountArgv(stdout, target))
    },
    async unmount(key, target) {
      if (await isMounted(target)) await run(['umount', target])
      await rmdir(target).catch(() => {})
      await ctr('snapshots', 'remove', key).catch((error: Error) => {
        if (!/not found|does not exist/.test(error.message)) throw error
      })
    },
  }
}
