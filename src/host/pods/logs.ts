// Reads a container's log as `kubectl logs` wants it: from the end, since a time, with timestamps, following, across
// rotation.

import { type FSWatcher, watch } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ApiError } from '../../api/errors.ts'
import type { LogOptions } from '../../api/streams.ts'
import { isBefore, type LogLine, parseLine } from './log-lines.ts'

const blockSize = 64 * 1024
const newline = 0x0a
/** containerd cuts lines at 16 KiB; whatever is longer is no log of its. */
const maxLine = 1024 * 1024
/** How often a follower that hears nothing looks whether the container still runs. */
const idleMs = 500

export interface LogSource {
  path: string
  /** False when nothing more will be written. */
  running(): boolean
  now(): number
}

export async function* readLog(
  source: LogSource,
  options: LogOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const format = formatter(source, options)
  let file = await openLog(source.path)
  const { size } = await file.stat()
  let position = await startPosition(file, size, options)
  // What is written meanwhile is for followers: `--tail 1` is one line, and a busy container's log has an end.
  const until = options.follow ? Number.POSITIVE_INFINITY : size
  let rest: Buffer = Buffer.alloc(0)
  const news = options.follow ? watcher(dirname(source.path), signal) : undefined
  try {
    while (!signal.aborted) {
      const wasRunning = source.running()
      const block = await readAt(file, position, Math.min(blockSize, until - position))
      if (block.length > 0) {
        position += block.length
        const lines = Buffer.concat([rest, block])
        const end = lines.lastIndexOf(newline) + 1
        rest = lines.subarray(end).length > maxLine ? Buffer.alloc(0) : lines.subarray(end)
        const { bytes, full } = format(lines.subarray(0, end))
        if (bytes.length > 0) yield bytes
        if (full) return
        continue
      }
      if (!news) return
      const next = await rotated(file, source.path)
      if (next) {
        await file.close()
        file = next
        position = 0
        rest = Buffer.alloc(0)
      } else if (!wasRunning) return
      else await news.wait()
    }
  } finally {
    news?.close()
    await file.close()
  }
}

/** A container that could not be started has written nothing, and old logs go with their containers. */
async function openLog(path: string): Promise<FileHandle> {
  try {
    return await open(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new ApiError('NotFound', 'the container has no log: it never ran, or its log has been removed')
  }
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  if (length <= 0) return Buffer.alloc(0)
  const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, position)
  return buffer.subarray(0, bytesRead)
}

async function rotated(file: FileHandle, path: string): Promise<FileHandle | undefined> {
  const [held, now] = await Promise.all([file.stat(), stat(path).catch(() => undefined)])
  return now && now.ino !== held.ino ? await open(path) : undefined
}

async function startPosition(file: FileHandle, size: number, { tailLines }: LogOptions): Promise<number> {
  if (tailLines === undefined || tailLines < 0) return 0
  // The newline that ends the last line does not begin another.
  let left = tailLines + 1
  for (let end = size; end > 0; ) {
    const begin = Math.max(end - blockSize, 0)
    const { buffer } = await file.read(Buffer.alloc(end - begin), 0, end - begin, begin)
    for (let at = buffer.length - 1; at >= 0; at--) if (buffer[at] === newline && --left === 0) return begin + at + 1
    end = begin
  }
  return 0
}

function formatter({ now }: LogSource, options: LogOptions): (lines: Buffer) => { bytes: Buffer; full: boolean } {
  const since = options.sinceTime
    ? Date.parse(options.sinceTime)
    : options.sinceSeconds === undefined
      ? undefined
      : now() - options.sinceSeconds * 1000
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY
  let lineBegins = true
  const show = (line: LogLine): Buffer[] => {
    if (since !== undefined && isBefore(line, since)) return []
    if (options.stream && options.stream !== line.stream) return []
    const stamp = options.timestamps && lineBegins ? [Buffer.from(`${line.time} `)] : []
    lineBegins = !line.partial
    return [...stamp, line.text, ...(line.partial ? [] : [Buffer.of(newline)])]
  }
  return (lines) => {
    const parts: Buffer[] = []
    for (let at = 0; at < lines.length; ) {
      const end = lines.indexOf(newline, at)
      const line = parseLine(lines.subarray(at, end))
      at = end + 1
      if (line) parts.push(...show(line))
    }
    const bytes = Buffer.concat(parts)
    const taken = bytes.length > left ? bytes.subarray(0, left) : bytes
    left -= taken.length
    return { bytes: taken, full: left <= 0 }
  }
}

interface News {
  wait(): Promise<void>
  close(): void
}

/** Wakes at each change in the directory, and now and then. */
function watcher(directory: string, signal: AbortSignal): News {
  let changed = false
  let wake = () => {}
  const tell = () => {
    changed = true
    wake()
  }
  const inotify: FSWatcher = watch(directory, { persistent: false }, tell)
  inotify.on('error', tell)
  signal.addEventListener('abort', tell, { once: true })
  return {
    async wait() {
      if (!changed)
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, idleMs)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      changed = false
    },
    close() {
      inotify.close()
      signal.removeEventListener('abort', tell)
    },
  }
}
