// The disk of a PersistentVolumeClaim: disk.img in the volume, always raw, made sparse when it is not there yet and longer
// when the claim has grown. Name and size rule: KubeVirt 1.8 (pkg/host-disk, filesystem overhead 0.06).

import { closeSync, constants, fstatSync, ftruncateSync, openSync } from 'node:fs'
import { join } from 'node:path'
import type { ClaimPlace } from '../volumes/volumes.ts'

export const filesystemOverhead = 0.06

const mebibyte = 1024 * 1024
const sector = 512

type Room = Pick<ClaimPlace, 'capacityBytes' | 'isBlock'>

/** What a claim can hold as a disk: beside a file system in whole MiB, without one all of it. */
export const claimDiskSize = ({ capacityBytes, isBlock }: Room): number =>
  isBlock
    ? Math.floor(capacityBytes / sector) * sector
    : Math.floor((capacityBytes * (1 - filesystemOverhead)) / mebibyte) * mebibyte

/** Makes disk.img when it is absent; returns its path. @throws Error when there is no room for a disk. */
export function ensureClaimDisk(place: Room & Pick<ClaimPlace, 'path'>, readOnly: boolean): string {
  const path = join(place.path, 'disk.img')
  const size = claimDiskSize(place)
  if (readOnly) return path
  if (size <= 0) throw new Error(`a volume of ${place.capacityBytes} bytes is too small for a disk`)
  let file: number
  try {
    file = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o660)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    grow(path, size)
    return path
  }
  try {
    ftruncateSync(file, size)
    if (fstatSync(file).size !== size) throw new Error(`cannot make ${path} ${size} bytes long`)
  } finally {
    closeSync(file)
  }
  return path
}

/** Only ever longer: what a guest wrote stays. */
function grow(path: string, size: number): void {
  let file: number
  try {
    file = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW)
  } catch (error) {
    // A link is somebody's own doing: what it leads to is not ours to change.
    if ((error as NodeJS.ErrnoException).code === 'ELOOP') return
    throw error
  }
  try {
    const stat = fstatSync(file)
    if (stat.isFile() && stat.size < size) ftruncateSync(file, size)
  } finally {
    closeSync(file)
  }
}
