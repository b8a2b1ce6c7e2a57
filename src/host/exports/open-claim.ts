// A claim's volume as bytes to take away. Whoever has written into the volume is not trusted: no link in it is followed,
// and only plain files are read.

import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { type FileHandle, open, readdir } from 'node:fs/promises'
import { pipeline, Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import type { OpenClaim, OpenFile } from '../../api/claim-file.ts'
import { ApiError } from '../../api/errors.ts'
import { run } from '../exec.ts'
import type { Volumes } from '../volumes/volumes.ts'

const chunkBytes = 1024 * 1024
/** Fast rather than small: disks are mostly zeros, and the other end waits. */
const gzipLevel = 1

const missing = (what: string) => new ApiError('NotFound', `${what} not found`)

export function createOpenClaim(volumes: Pick<Volumes, 'claimPath'>): OpenClaim {
  return async ({ namespace, name }, file) => {
    const { path } = await volumes.claimPath(namespace, name)
    if (file.form === 'tar.gz') return archive(path)
    const root = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    // A block volume is its own disk.
    const isDirectory = (await root.stat()).isDirectory()
    const steps =
      file.form === 'file' ? file.path.split('/').filter((part) => part !== '' && part !== '.') : ['disk.img']
    const handle = isDirectory ? await descend(root, steps) : root
    const stat = await handle.stat()
    if (stat.isDirectory()) {
      const entries = await readdir(`/proc/self/fd/${handle.fd}`, { withFileTypes: true }).finally(() => handle.close())
      return { kind: 'directory', names: entries.map((one) => (one.isDirectory() ? `${one.name}/` : one.name)).sort() }
    }
    const size = stat.isBlockDevice() ? await deviceSize(handle) : stat.size
    if (!stat.isFile() && !stat.isBlockDevice()) {
      await handle.close()
      throw missing(steps.join('/'))
    }
    return file.form === 'disk.gz' ? compressed(handle, size) : plain(handle, size)
  }
}

/** Step by step from an open directory: what it leads to cannot be exchanged for a link meanwhile. */
async function descend(root: FileHandle, steps: string[]): Promise<FileHandle> {
  let at = root
  for (const [index, step] of steps.entries()) {
    const isLast = index === steps.length - 1
    const flags =
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | (isLast ? 0 : constants.O_DIRECTORY)
    const above = at
    try {
      if (step === '..') throw missing(steps.join('/'))
      at = await open(`/proc/self/fd/${above.fd}/${step}`, flags)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      throw code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR' ? missing(steps.join('/')) : error
    } finally {
      await above.close()
    }
  }
  return at
}

/** A device does not say its size in its stat; its end does. */
async function deviceSize(handle: FileHandle): Promise<number> {
  const { stdout } = await run(['blockdev', '--getsize64', `/proc/${process.pid}/fd/${handle.fd}`])
  return Number(stdout.trim())
}

async function* bytes(handle: FileHandle, start: number, end: number): AsyncGenerator<Uint8Array> {
  for (let at = start; at <= end; ) {
    const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, end - at + 1))
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at)
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
    at += bytesRead
  }
}

const plain = (handle: FileHandle, size: number): OpenFile => ({
  kind: 'bytes',
  size,
  read: (start = 0, end = size - 1) => bytes(handle, start, end),
  close: () => handle.close(),
})

const compressed = (handle: FileHandle, size: number): OpenFile => ({
  kind: 'bytes',
  read: () => gzipped(Readable.from(bytes(handle, 0, size - 1))),
  close: () => handle.close(),
})

function gzipped(source: Readable): AsyncIterable<Uint8Array> {
  const gzip = createGzip({ level: gzipLevel })
  // A failure of the source ends the reader of the other end with the same error.
  pipeline(source, gzip, () => {})
  return gzip
}

/** tar keeps links as links, and opens neither devices nor pipes. */
function archive(path: string): OpenFile {
  const child = spawn('tar', ['-C', path, '-c', '-S', '--exclude=./lost+found', '.'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said = `${said}${chunk}`.slice(-1000)
  })
  const ended = new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(-1))
    child.once('close', resolve)
  })
  async function* whole(): AsyncGenerator<Uint8Array> {
    yield* child.stdout
    const code = await ended
    if (code !== 0) throw new Error(`tar of ${path} ended with ${code}: ${said.trim()}`)
  }
  return {
    kind: 'bytes',
    read: () => gzipped(Readable.from(whole())),
    close: async () => {
      child.kill()
      await ended
    },
  }
}
