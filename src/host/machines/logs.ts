// Serial logs and QEMU's own log stay bounded whatever the guest writes: beyond the limit only the tail is kept.

import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from '../../base/log.ts'
import { machineFiles } from './plan.ts'

const limit = 8 * 1024 * 1024
const kept = 1024 * 1024

export function trimLogs(machines: { directory: string }[], log: Logger): void {
  for (const { directory } of machines)
    for (const name of [machineFiles.serialLog, machineFiles.qemuLog])
      try {
        trimLog(join(directory, name))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
          log.warn('cannot trim a log', { directory, name, error })
      }
}

/** In place: QEMU holds the file open for appending and writes on behind the tail. */
export function trimLog(path: string, largest = limit, keep = kept): void {
  const file = openSync(path, constants.O_RDWR | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const stat = fstatSync(file)
    if (!stat.isFile() || stat.size <= largest) return
    const tail = Buffer.alloc(keep)
    const length = readSync(file, tail, 0, keep, stat.size - keep)
    ftruncateSync(file, 0)
    writeSync(file, tail.subarray(0, length))
  } finally {
    closeSync(file)
  }
}
