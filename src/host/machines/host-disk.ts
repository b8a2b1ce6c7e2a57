// A file of this machine as a disk (hostDisk): only where the administrator has turned the gate HostDisk on, as whoever
// may make machines may then read and write such files. Meaning of the types: KubeVirt 1.9 (pkg/host-disk).

import { closeSync, constants, existsSync, ftruncateSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { openDisk } from './disk-files.ts'
import { quantity } from './resources.ts'
import type { Volume } from './vmi.ts'

/** An open file. @throws Error when it is not allowed, not there, or not a file of its own */
export function openHostDisk(
  { path, type, capacity }: NonNullable<Volume['hostDisk']>,
  featureGates: readonly string[],
  readOnly: boolean,
): number {
  if (!featureGates.includes('HostDisk')) throw new Error('HostDisk feature gate is not enabled')
  if (!existsSync(path)) {
    if (type !== 'DiskOrCreate') throw new Error(`${path} is not on this machine; type DiskOrCreate would make it`)
    const size = Math.floor(quantity(capacity ?? 0) / 512) * 512
    if (size <= 0) throw new Error(`${path} cannot be made: hostDisk.capacity is missing`)
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
    const made = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
    ftruncateSync(made, size)
    closeSync(made)
  }
  return openDisk(path, !readOnly)
}
