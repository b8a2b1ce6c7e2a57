// Takes the packing off a stream, decided by its first bytes: gzip and zstd here, xz by its own program.

import { type Duplex, PassThrough, pipeline, type Readable } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { ImportError } from './failure.ts'
import { runSandboxed, type SandboxRequest } from './sandbox.ts'

const xzMemory = 512 * 1024 * 1024

type Place = Pick<SandboxRequest, 'uid' | 'hidden' | 'cwd' | 'signal'>

export async function* unpack(source: AsyncIterable<Buffer>, place: Place): AsyncGenerator<Buffer> {
  const iterator = source[Symbol.asyncIterator]()
  const { value: first, done } = await iterator.next()
  if (done) throw new ImportError('the source is empty')
  const all = (async function* () {
    yield first
    yield* { [Symbol.asyncIterator]: () => iterator }
  })()
  const starts = (...bytes: number[]) => bytes.every((byte, index) => first[index] === byte)
  if (starts(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00)) return yield* throughXz(all, place)
  if (starts(0x42, 0x5a, 0x68)) throw new ImportError('bzip2 is not supported: repack it with gzip, xz or zstd')
  const transform: Duplex = starts(0x1f, 0x8b)
    ? createGunzip()
    : starts(0x28, 0xb5, 0x2f, 0xfd)
      ? createZstdDecompress()
      : new PassThrough()
  // A pipeline passes an error of the source on, and ends the source when the reader stops early.
  yield* pipeline(all, transform, () => {})
}

async function* throughXz(source: AsyncIterable<Buffer>, place: Place): AsyncGenerator<Buffer> {
  const { child, ended } = runSandboxed(
    {
      argv: ['xz', '--decompress', '--stdout', `--memlimit-decompress=${xzMemory}`],
      bounds: { cpuSeconds: 3600, wallMs: 2 * 3600_000, memoryBytes: 2 * xzMemory, fileBytes: 0 },
      ...place,
    },
    'pipe',
  )
  let broken: Error | undefined
  pipeline(source, child.stdin!, (error) => {
    if (error && (error as NodeJS.ErrnoException).code !== 'EPIPE') {
      broken = error
      child.kill('SIGKILL')
    }
  })
  try {
    yield* child.stdout as Readable
    await ended.catch((error) => {
      throw broken ?? error
    })
  } finally {
    child.kill('SIGKILL')
  }
}
