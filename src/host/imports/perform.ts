// The work of one import, from where the data is to files in `out/` below the work directory, which then move into the
// volume. Runs in a thread of its own.

import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, chown, mkdir, open, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { parseChecksum } from '../../kinds/cdi/checksum.ts'
import { run } from '../exec.ts'
import { copyTree } from '../volumes/copy-tree.ts'
import { convert } from './convert.ts'
import { type Download, download } from './download.ts'
import { ImportError, tooSmall } from './failure.ts'
import { bytesToKnow, formatOf, type ImportFormat } from './format.ts'
import { runSandboxed } from './sandbox.ts'
import { writeSparse } from './sparse-file.ts'
import { unpack } from './unpack.ts'

export type Material =
  | { kind: 'blank' }
  | { kind: 'http'; download: Download; checksum?: string }
  /** A file that was uploaded: of any format, perhaps packed. */
  | { kind: 'file'; path: string }
  /** A disk whose format is proved. */
  | { kind: 'image'; path: string; format: 'raw' | 'qcow2' }
  /** Everything in a directory. */
  | { kind: 'tree'; path: string }

export interface Task {
  /** The work directory; empty. */
  directory: string
  /** What programs that look at foreign data must not see. */
  hidden: string
  uid: number
  /** Bytes of the disk; for an archive, the room for it. */
  size: number
  archive: boolean
  preallocate: boolean
  material: Material
}

interface Work extends Task {
  out: string
  signal: AbortSignal
  report(percent: number): void
}

/** @throws ImportError */
export async function perform(task: Task, signal: AbortSignal, report: (percent: number) => void): Promise<void> {
  const work: Work = { ...task, out: join(task.directory, 'out'), signal, report }
  await mkdir(work.out, { mode: 0o700 })
  const { material } = work
  if (material.kind === 'blank') return await blank(work)
  if (material.kind === 'tree') {
    report(0)
    return await copyTree(material.path, work.out, { signal })
  }
  if (material.kind === 'image') return await fromImage(work, material.path, material.format)
  const stream = material.kind === 'http' ? await received(work, material) : await uploaded(work, material.path)
  await (work.archive ? extract(work, stream) : store(work, stream))
}

const disk = ({ out }: Work): string => join(out, 'disk.img')

async function blank(work: Work): Promise<void> {
  const file = await open(disk(work), 'wx', 0o660)
  try {
    await file.truncate(work.size)
  } finally {
    await file.close()
  }
  await finished(work)
}

async function fromImage(work: Work, path: string, format: 'raw' | 'qcow2'): Promise<void> {
  if (format === 'qcow2') return await converted(work, path, 'qcow2', (percent) => percent)
  const { size } = await stat(path)
  if (size > work.size) throw tooSmall(size, work.size)
  await run(['cp', '--reflink=auto', '--sparse=always', '--', path, disk(work)], { timeoutMs: 2 * 3600_000 })
  await finished(work)
}

interface Stream {
  bytes: AsyncGenerator<Buffer>
  /** How much of the source was read, in percent; undefined when its length is not known. */
  percent(): number | undefined
}

async function received(work: Work, material: Extract<Material, { kind: 'http' }>): Promise<Stream> {
  const response = await download(material.download, work.signal)
  const total = Number(response.headers['content-length'] ?? 0)
  const checked = material.checksum ? parseChecksum(material.checksum) : undefined
  if (typeof checked === 'string') throw new ImportError(`Invalid checksum format: ${checked}`, { fatal: true })
  const hash: Hash | undefined = checked && createHash(checked.algorithm)
  let read = 0
  const bytes = (async function* () {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      read += chunk.length
      hash?.update(chunk)
      yield chunk
    }
    if (total > 0 && read < total) throw new ImportError(`unexpected EOF: the server sent ${read} of ${total} bytes`)
    const found = hash?.digest('hex')
    if (checked && found !== checked.hash)
      throw new ImportError(
        `checksum validation failed: checksum mismatch: expected ${checked.algorithm}:${checked.hash}, calculated ${checked.algorithm}:${found}`,
        { fatal: true },
      )
  })()
  return { bytes, percent: () => (total > 0 ? (read / total) * 100 : undefined) }
}

async function uploaded({ signal }: Work, path: string): Promise<Stream> {
  const { size } = await stat(path)
  let read = 0
  const bytes = (async function* () {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, signal })) {
      read += chunk.length
      yield chunk as Buffer
    }
  })()
  return { bytes, percent: () => (size > 0 ? (read / size) * 100 : undefined) }
}

/** An image in another format is a little longer than its content at most. */
const scratch = (size: number): number => size + size / 8 + 64 * 1024 * 1024

async function store(work: Work, stream: Stream): Promise<void> {
  const file = join(work.directory, 'source')
  const written = await writeSparse(drained(unpack(stream.bytes, placeOf(work)), stream.bytes), file, {
    limit: scratch(work.size),
    headBytes: bytesToKnow,
    tooLarge: (size) => tooSmall(size, work.size),
    onWritten: () => told(work, stream, 0.5),
  })
  const format = formatOf(written.head, await tailOf(file, written.size))
  if (format !== 'raw') return await converted(work, file, format, (percent) => 50 + percent / 2)
  if (written.size > work.size) throw tooSmall(written.size, work.size)
  await rename(file, disk(work))
  await finished(work)
}

/** A packed stream may end before its source does: the rest is read, for the checksum over all of it. */
async function* drained(unpacked: AsyncGenerator<Buffer>, source: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  yield* unpacked
  for await (const _ of source);
}

const placeOf = ({ uid, hidden, directory, signal }: Work) => ({ uid, hidden, cwd: directory, signal })

function told(work: Work, { percent }: Stream, share: number): void {
  const known = percent()
  if (known !== undefined) work.report(known * share)
}

async function tailOf(path: string, size: number): Promise<Buffer> {
  const tail = Buffer.alloc(512)
  const file = await open(path, 'r')
  try {
    await file.read(tail, 0, tail.length, Math.max(0, size - tail.length))
  } finally {
    await file.close()
  }
  return tail
}

async function converted(work: Work, source: string, format: ImportFormat, share: (percent: number) => number) {
  const { size, uid, hidden, directory, preallocate, signal } = work
  // Read by another user, who gets it open.
  if (source.startsWith(`${directory}/`)) await chmod(source, 0o444)
  await convert({
    source,
    format,
    target: disk(work),
    size,
    uid,
    hidden,
    cwd: directory,
    preallocate,
    signal,
    onProgress: (percent) => work.report(share(percent)),
  })
  await finished(work)
}

/** The disk is as long as its claim has room for, and nobody's but Tandem's until a machine opens it. */
async function finished(work: Work): Promise<void> {
  const path = disk(work)
  const file = await open(path, 'r+')
  try {
    const { size } = await file.stat()
    if (size < work.size) await file.truncate(work.size)
    await file.sync()
  } finally {
    await file.close()
  }
  await chown(path, 0, 0)
  await chmod(path, 0o660)
  if (work.preallocate) await run(['fallocate', '--length', String(work.size), path], { timeoutMs: 600_000 })
}

/** tar runs as nobody in particular: what an archive names outside is out of its reach. */
async function extract(work: Work, stream: Stream): Promise<void> {
  const { out, uid, size, hidden, signal } = work
  await chown(out, uid, uid)
  const { child, ended } = runSandboxed(
    {
      argv: ['tar', '--extract', '--no-same-owner', '--no-same-permissions', '--delay-directory-restore', '--file=-'],
      uid,
      hidden,
      cwd: out,
      bounds: { cpuSeconds: 3600, wallMs: 2 * 3600_000, memoryBytes: 2 ** 30, fileBytes: size },
      signal,
    },
    'pipe',
  )
  let read = 0
  const counted = async function* (source: AsyncIterable<Buffer>) {
    for await (const chunk of source) {
      read += chunk.length
      if (read > size) throw tooSmall(read, size)
      told(work, stream, 1)
      yield chunk
    }
  }
  const fed = pipeline(drained(unpack(stream.bytes, placeOf(work)), stream.bytes), counted, child.stdin!)
  const problem = await fed.then(
    () => undefined,
    (error: NodeJS.ErrnoException) => (error.code === 'EPIPE' ? undefined : error),
  )
  if (problem) child.kill('SIGKILL')
  await ended.catch((error: Error) => {
    throw problem ?? new ImportError(`unable to untar files from endpoint: ${error.message}`, { cause: error })
  })
  if (problem) throw problem
  await run(['chown', '-hR', '107:107', out], { timeoutMs: 600_000 })
}
