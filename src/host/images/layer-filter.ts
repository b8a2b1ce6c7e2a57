// A program that containerd runs for each layer that it unpacks (its "stream processor"): a packed layer comes in, the tar
// goes out, and it ends where the layer passes a limit. Only here is every layer seen before it is on the disk, whoever
// asked for it: CRI's pull unpacks while it downloads, and an import unpacks inside of containerd, too.
//
// containerd 1.6 tells nobody what such a program says: it shows the error of what reads the tar. So the last entry is a
// hard link to a target that is not there and whose name is the reason, and containerd shows that.

import { createReadStream, write } from 'node:fs'
import { promisify } from 'node:util'
import { EmptyError, unpacked } from './decompress.ts'
import { createLayerGauge, LayerRefused } from './layer-gauge.ts'
import { layerWords, noRoomIn, readLayerLimits, refusalTarget } from './layer-limits.ts'
import { endOfTar, tarLink } from './tar-writer.ts'

const writeSome = promisify(write)
const [root = '/'] = process.argv.slice(2)

async function pass(bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await writeSome(1, bytes, at)).bytesWritten
}

async function filter(): Promise<void> {
  const limits = readLayerLimits(root)
  const words = layerWords(limits)
  const gauge = createLayerGauge(limits, { ...words, noRoom: (bytes) => noRoomIn(root, bytes) })
  const source = () => createReadStream('', { fd: 0, highWaterMark: 1 << 20 })
  let begun = false
  /** Headers whose entry has not come. */
  let held: Buffer[] = []
  const passUpTo = async (chunk: Buffer, safe: number | undefined) => {
    if (safe === undefined) return
    const now = chunk.subarray(0, safe)
    await pass(held.length > 0 ? Buffer.concat([...held, now]) : now)
    held = []
  }
  try {
    for await (const chunk of unpacked(source)) {
      begun = true
      let safe: number | undefined
      try {
        safe = gauge.push(chunk)
      } catch (error) {
        if (error instanceof LayerRefused) await passUpTo(chunk, error.safe)
        throw error
      }
      await passUpTo(chunk, safe)
      if (safe !== chunk.length) held.push(chunk.subarray(safe ?? 0))
    }
    await pass(Buffer.concat(held))
  } catch (error) {
    if (error instanceof EmptyError) return
    // In the middle of a file there is no place for words: then the tar just ends early.
    if (error instanceof LayerRefused || !begun)
      await pass(Buffer.concat([tarLink('.tandem-refused', refusalTarget((error as Error).message)), endOfTar]))
    throw error
  }
}

filter().then(
  () => process.exit(0),
  (error: NodeJS.ErrnoException) => {
    // Whoever reads has seen enough.
    if (error.code !== 'EPIPE') process.stderr.write(`${error.message}\n`)
    process.exit(1)
  },
)
