// Loads a docker-archive or an OCI layout tarball. First everything is checked, what its layers unpack to as well; then a
// clean copy of what was checked, with full names, streams into containerd. So a bad archive imports nothing.

import { type FileHandle, open } from 'node:fs/promises'
import { checkArchive } from './archive-check.ts'
import type { Ctr } from './ctr.ts'
import { CompressionError, unpacked } from './decompress.ts'
import { ImageError } from './images.ts'
import { checkLayers } from './layer-check.ts'
import { defaultLayerLimits, refusalIn } from './layer-limits.ts'
import { ManifestError } from './manifest.ts'
import { readTar, TarError, type TarLimits } from './tar-reader.ts'
import { endOfTar, tarFile, tarPadding } from './tar-writer.ts'

/** Bounds of an archive: 256 GiB unpacked, which is far beyond any image, and 100,000 entries. */
export const archiveLimits: TarLimits = { bytes: 256 * 2 ** 30, entries: 100_000 }

export interface LoadedName {
  /** Normalized. */
  name: string
  /** Digest of the image's config. */
  id: string
}

/** @throws ImageError */
export async function importArchive(
  path: string,
  ctr: Pick<Ctr, 'import' | 'removeName'>,
  limits = archiveLimits,
  layerLimits = defaultLayerLimits,
): Promise<LoadedName[]> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'ENOENT' ? 'there is no such file' : error.message
    throw new ImageError('InvalidImage', `cannot load ${path}: ${why}`, { cause: error })
  })
  try {
    const bytes = () => unpacked(() => file.createReadStream({ start: 0, autoClose: false, highWaterMark: 1 << 20 }))
    const checked = await checkArchive(readTar(bytes(), limits))
    // An image without a command is a disk: containerd need not unpack it, disks are taken out of the layers.
    const unpack = checked.images.some((image) => image.runnable)
    await checkLayers(readTar(bytes(), limits), checked.layers, layerLimits)
    const loaded = checked.images.flatMap(({ names, id }) => names.map((name) => ({ name, id })))
    try {
      await ctr.import(cleanCopy(readTar(bytes(), limits), checked.documents, checked.wanted), { unpack })
    } catch (error) {
      // containerd has it and could not unpack it, for want of room.
      if (refusalIn((error as Error).message) !== undefined)
        for (const { name } of loaded) await ctr.removeName(name).catch(() => {})
      throw error
    }
    return loaded
  } catch (error) {
    throw asImageError(error, path)
  } finally {
    await close(file)
  }
}

const close = (file: FileHandle) => file.close().catch(() => {})

function asImageError(error: unknown, path: string): ImageError {
  if (error instanceof ImageError) return error
  const known = error instanceof TarError || error instanceof ManifestError || error instanceof CompressionError
  const code = String((error as NodeJS.ErrnoException).code ?? '')
  const damaged = code.startsWith('Z_') || code.startsWith('ZSTD_') || code.startsWith('ERR_ZSTD')
  const { message } = error as Error
  const why = damaged ? `it is damaged (${message})` : (refusalIn(message) ?? message)
  const hint = known || damaged ? ': a docker-archive or an OCI layout tarball is needed' : ''
  return new ImageError('InvalidImage', `cannot load ${path}: ${why}${hint}`, { cause: error })
}

/** The documents as we write them, then the blobs as they are. */
async function* cleanCopy(
  entries: AsyncIterable<{ name: string; size: number; type: string; body(): AsyncGenerator<Buffer> }>,
  documents: Map<string, Buffer>,
  wanted: Set<string>,
): AsyncGenerator<Buffer> {
  for (const [name, bytes] of documents) yield* [tarFile(name, bytes.length), bytes, tarPadding(bytes.length)]
  const left = new Set(wanted)
  for await (const entry of entries) {
    if (entry.type !== 'file' || !left.delete(entry.name)) continue
    yield tarFile(entry.name, entry.size)
    yield* entry.body()
    yield tarPadding(entry.size)
  }
  if (left.size > 0) throw new TarError('the file changed while it was read')
  yield endOfTar
}
