// hostPath volumes: the checks of the path's type. Texts mirrored from pkg/volume/hostpath (Kubernetes 1.32).

import { closeSync, mkdirSync, openSync, type Stats, statSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { VolumeNotReady } from './volumes.ts'

export type HostPathType =
  | ''
  | 'Directory'
  | 'DirectoryOrCreate'
  | 'File'
  | 'FileOrCreate'
  | 'Socket'
  | 'CharDevice'
  | 'BlockDevice'

const checks: Record<Exclude<HostPathType, ''>, [is: (stat: Stats) => boolean, what: string]> = {
  Directory: [(stat) => stat.isDirectory(), 'a directory'],
  DirectoryOrCreate: [(stat) => stat.isDirectory(), 'a directory'],
  File: [(stat) => stat.isFile(), 'a file'],
  FileOrCreate: [(stat) => stat.isFile(), 'a file'],
  Socket: [(stat) => stat.isSocket(), 'a socket file'],
  CharDevice: [(stat) => stat.isCharacterDevice(), 'a character device'],
  BlockDevice: [(stat) => stat.isBlockDevice(), 'a block device'],
}

function create(path: string, type: HostPathType): void {
  if (type === 'DirectoryOrCreate') mkdirSync(path, { recursive: true, mode: 0o755 })
  // The directory of a file is not made: that would hide a wrong path.
  if (type === 'FileOrCreate') closeSync(openSync(path, 'ax', 0o644))
}

/** @throws VolumeNotReady: the path may become what the Pod expects. */
export function checkHostPath(path: string, type: HostPathType): void {
  if (!isAbsolute(path) || path.split('/').includes('..'))
    throw new Error(`hostPath ${JSON.stringify(path)} must be absolute and must not contain '..'`)
  if (type === '') return
  const check = Object.hasOwn(checks, type) ? checks[type] : undefined
  if (!check) throw new Error(`${type} is an invalid volume type`)
  if (!statSync(path, { throwIfNoEntry: false })) {
    try {
      create(path, type)
    } catch (error) {
      throw new VolumeNotReady(`cannot make hostPath ${path}: ${(error as Error).message}`)
    }
  }
  const stat = statSync(path, { throwIfNoEntry: false })
  if (!stat || !check[0](stat)) throw new VolumeNotReady(`hostPath type check failed: ${path} is not ${check[1]}`)
}
