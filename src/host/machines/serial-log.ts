// What a machine's serial console said, read as `kubectl logs` wants it. The console has lines but no times.

import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError } from '../../api/errors.ts'
import type { LogOptions } from '../../api/streams.ts'

const chunkBytes = 64 * 1024
const followMs = 200

/** @throws ApiError for what a console cannot tell. */
function check(name: string, options: LogOptions): void {
  if (options.previous)
    throw new ApiError('BadRequest', `previous terminated container "compute" in pod "${name}" not found`)
  for (const field of ['timestamps', 'sinceSeconds', 'sinceTime'] as const)
    if (options[field])
      throw new ApiError('BadRequest', `${field}: the log of a serial console has no times; ask for tailLines`)
}

/** `isRunning`: a followed log ends with its machine. */
export async function* serialLog(
  path: string,
  name: string,
  options: LogOptions,
  signal: AbortSignal,
  isRunning: () => boolean,
): AsyncGenerator<Uint8Array> {
  check(name, options)
  if (options.stream === 'stderr') return
  const file = await openLog(path)
  try {
    let at = options.tailLines === undefined ? 0 : await tailStart(file, options.tailLines)
    let left = options.limitBytes ?? Number.POSITIVE_INFINITY
    while (left > 0 && !signal.aborted) {
      const isLast = !options.follow || !isRunning()
      const { size } = await file.stat()
      // The log was cut short in place: what it kept has been told.
      if (size < at) at = size
      const want = Math.min(chunkBytes, size - at, left)
      if (want > 0) {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(want), 0, want, at)
        at += bytesRead
        left -= bytesRead
        if (bytesRead > 0) yield buffer.subarray(0, bytesRead)
      } else {
        if (isLast) return
        await sleep(followMs, undefined, { signal }).catch(() => {})
      }
    }
  } finally {
    await file.close()
  }
}

/** QEMU owns the file's directory: nothing but a plain file is opened there. */
async function openLog(path: string): Promise<FileHandle> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    if ((await file.stat()).isFile()) return file
    await file.close()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  throw new ApiError('BadRequest', 'the machine has no log of a serial console (it has not started, or has no console)')
}

/** Where the last lines begin. */
async function tailStart(file: FileHandle, lines: number): Promise<number> {
  const { size } = await file.stat()
  if (lines === 0) return size
  let wanted = lines
  let end = size
  const buffer = Buffer.alloc(chunkBytes)
  while (end > 0) {
    const begin = Math.max(0, end - chunkBytes)
    const { bytesRead } = await file.read(buffer, 0, end - begin, begin)
    for (let index = bytesRead - 1; index >= 0; index--) {
      // The end of the last line is no beginning of another one.
      if (buffer[index] !== 0x0a || begin + index === size - 1) continue
      if (--wanted <= 0) return begin + index + 1
    }
    end = begin
  }
  return 0
}
