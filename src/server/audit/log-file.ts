// Lines into a file that begins anew when it is large; so many old ones are kept.

import { createWriteStream, fstatSync, openSync, renameSync, rmSync, statSync, type WriteStream } from 'node:fs'

export interface LogFileOptions {
  path: string
  /** Bytes after which a new file begins. */
  size: number
  /** Old files that stay, as path.1 (the newest) to path.n. */
  keep: number
  /** Told once when the file cannot be written, and again after it could. */
  failed(error: Error): void
}

export interface LogFile {
  write(line: string): void
  close(): Promise<void>
}

/** Lines that wait for a slow disk; more are dropped rather than held in memory. */
const mostWaiting = 16 * 1024 * 1024

export function openLogFile({ path, size, keep, failed }: LogFileOptions): LogFile {
  let stream: WriteStream | undefined
  let written = 0
  let isFailing = false
  const ending = new Set<Promise<void>>()
  open()

  function fail(error: Error): void {
    if (!isFailing) failed(error)
    isFailing = true
  }

  function open(): void {
    try {
      // Opened at once: the name may belong to the next file before the first line is written.
      const fd = openSync(path, 'a', 0o600)
      written = fstatSync(fd).size
      stream = createWriteStream('', { fd })
      stream.on('error', fail)
    } catch (error) {
      stream = undefined
      fail(error as Error)
    }
  }

  function end(): void {
    const last = stream
    if (!last) return
    const ended = new Promise<void>((resolve) => last.end(() => resolve())).finally(() => ending.delete(ended))
    ending.add(ended)
  }

  function rotate(): void {
    end()
    rmSync(`${path}.${keep}`, { force: true })
    for (let number = keep - 1; number >= 1; number--) rename(`${path}.${number}`, `${path}.${number + 1}`)
    if (keep > 0) rename(path, `${path}.1`)
    else rmSync(path, { force: true })
    open()
  }

  return {
    write(line) {
      if (!stream || stream.destroyed) open()
      if (!stream || stream.writableLength > mostWaiting) return
      const text = `${line}\n`
      if (written > 0 && written + text.length > size) rotate()
      written += text.length
      stream.write(text, (error) => {
        if (!error) isFailing = false
      })
    },
    async close() {
      end()
      await Promise.all(ending)
    },
  }
}

function rename(from: string, to: string): void {
  if (statSync(from, { throwIfNoEntry: false })) renameSync(from, to)
}
