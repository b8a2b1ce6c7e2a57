// A byte stream as it is or unpacked, decided by its first bytes: gzip and zstd, which registries use.

import { PassThrough, pipeline, type Readable, type Transform } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'

/** Large pieces are cheaper; there are few streams at a time. */
const chunkSize = 256 * 1024

export class CompressionError extends Error {}

export class EmptyError extends CompressionError {}

/** The unpacked bytes; opened when first asked for. Damage shows as an error while reading. */
export async function* unpacked(open: () => Readable): AsyncGenerator<Buffer> {
  const source = open()
  const iterator = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  const { value: first, done } = await iterator.next()
  if (done) throw new EmptyError('it is empty')
  const transform = decoder(first)
  const feed = (async function* () {
    yield first
    for (;;) {
      const { value, done } = await iterator.next()
      if (done) return
      yield value
    }
  })()
  try {
    // A pipeline passes an error of the source on, and ends the source when the reader stops early.
    yield* pipeline(feed, transform, () => {})
  } finally {
    source.destroy()
  }
}

function decoder(first: Buffer): Transform {
  const starts = (...bytes: number[]) => bytes.every((byte, index) => first[index] === byte)
  if (starts(0x1f, 0x8b)) return createGunzip({ chunkSize })
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) return createZstdDecompress({ chunkSize })
  if (starts(0xfd, 0x37, 0x7a, 0x58, 0x5a))
    throw new CompressionError('xz is not supported: repack it with gzip or zstd')
  if (starts(0x42, 0x5a, 0x68)) throw new CompressionError('bzip2 is not supported: repack it with gzip or zstd')
  return new PassThrough()
}
