// Writes a stream into a file with holes where it has zeros, no further than it may.

import { type FileHandle, open } from 'node:fs/promises'

const block = 64 * 1024
const zeros = Buffer.alloc(block)

export interface Written {
  size: number
  /** The first bytes, for whoever has to know what it is. */
  head: Buffer
}

export async function writeSparse(
  source: AsyncIterable<Buffer>,
  path: string,
  options: { limit: number; headBytes: number; tooLarge: (size: number) => Error; onWritten?: (bytes: number) => void },
): Promise<Written> {
  const file = await open(path, 'wx', 0o600)
  const head: Buffer[] = []
  let kept = 0
  let position = 0
  try {
    for await (const chunk of source) {
      if (kept < options.headBytes) {
        const part = chunk.subarray(0, options.headBytes - kept)
        head.push(Buffer.from(part))
        kept += part.length
      }
      if (position + chunk.length > options.limit) throw options.tooLarge(position + chunk.length)
      await writeParts(file, chunk, position)
      position += chunk.length
      options.onWritten?.(position)
    }
    await file.truncate(position)
    await file.datasync()
  } finally {
    await file.close()
  }
  return { size: position, head: Buffer.concat(head) }
}

/** Blocks as they lie in the file, so that a hole is a whole one. */
async function writeParts(file: FileHandle, chunk: Buffer, position: number): Promise<void> {
  let at = 0
  let from = 0
  const flush = async (end: number) => {
    if (end > from) await file.write(chunk, from, end - from, position + from)
  }
  while (at < chunk.length) {
    const end = Math.min(chunk.length, at + block - ((position + at) % block))
    const part = chunk.subarray(at, end)
    if (part.equals(zeros.subarray(0, part.length))) {
      await flush(at)
      from = end
    }
    at = end
  }
  await flush(chunk.length)
}
