// Finds the one disk file in an image's layers and writes it out. Nothing else is unpacked, and no name from the image
// ever becomes a path: each candidate goes into a numbered file, so links and ".." have nowhere to lead.

import { type FileHandle, open, rm } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { ImageError } from './images.ts'
import { readTar, type TarEntry, type TarLimits } from './tar-reader.ts'

export interface UnpackLimits extends TarLimits {
  /** Bytes that may be written to this machine's disk. */
  written: number
}

interface Candidate {
  file: string
  layer: number
}

/**
 * @param layers unpacked tar streams, lowest first
 * @param wanted a path inside the image, or undefined for the one file in /disk
 * @throws ImageError
 */
export async function extractDisk(
  layers: AsyncIterable<Uint8Array>[],
  wanted: string | undefined,
  directory: string,
  limits: UnpackLimits,
): Promise<{ file: string; name: string }> {
  const target = wanted === undefined ? undefined : posix.join('/', wanted).slice(1)
  const folder = target === undefined ? 'disk' : posix.dirname(target)
  const isWanted = (name: string) => (target === undefined ? posix.dirname(name) === 'disk' : name === target)
  const found = new Map<string, Candidate>()
  const budget = { bytes: limits.written }
  let count = 0
  for (const [layer, stream] of layers.entries()) {
    for await (const entry of readTar(stream, limits)) {
      hide(found, entry.name, layer)
      if (isOrHolds(folder, entry.name)) refuseOddFolder(entry, found)
      if (!isWanted(entry.name) || posix.basename(entry.name).startsWith('.wh.')) continue
      await forget(found, entry.name)
      if (entry.type === 'directory') continue
      if (entry.type !== 'file')
        throw new ImageError(
          'InvalidImage',
          `/${entry.name} of the image is a ${entry.type}: a disk must be a plain file`,
        )
      const file = join(directory, `candidate-${count++}`)
      if (found.size > 16)
        throw new ImageError('InvalidImage', `the image has many files in /${folder}: it must have one`)
      found.set(entry.name, { file, layer })
      await writeSparse(entry, file, budget)
    }
  }
  return theOne(found, target)
}

const isOrHolds = (folder: string, name: string) => name !== '' && (folder === name || folder.startsWith(`${name}/`))

function refuseOddFolder(entry: TarEntry, found: Map<string, Candidate>): void {
  if (entry.type === 'directory') return
  if (entry.type === 'symlink' || entry.type === 'link')
    throw new ImageError(
      'InvalidImage',
      `/${entry.name} of the image is a link: disks are looked for in real folders only`,
    )
  found.clear() // a file where lower layers had the folder hides it
}

/** Whiteouts of OCI layers (image-spec 1.0 layer.md): ".wh.name" hides name, ".wh..wh..opq" all of the folder below. */
function hide(found: Map<string, Candidate>, name: string, layer: number): void {
  const base = posix.basename(name)
  if (!base.startsWith('.wh.')) return
  const folder = posix.dirname(name)
  const hidden = base === '.wh..wh..opq' ? folder : posix.join(folder, base.slice(4))
  for (const [path, candidate] of found) {
    const covered = hidden === '.' || path === hidden || path.startsWith(`${hidden}/`)
    if (covered && candidate.layer < layer) found.delete(path)
  }
}

async function forget(found: Map<string, Candidate>, name: string): Promise<void> {
  const former = found.get(name)
  if (former) await rm(former.file, { force: true })
  found.delete(name)
}

function theOne(found: Map<string, Candidate>, target: string | undefined): { file: string; name: string } {
  const [first, ...others] = found
  if (!first) {
    const what =
      target === undefined
        ? 'no file in /disk: it is not a containerDisk image (a qcow2 or raw disk belongs there; path names another place)'
        : `no file /${target}`
    throw new ImageError('InvalidImage', `the image has ${what}`)
  }
  if (others.length > 0) {
    const names = [...found.keys()].map((name) => `/${name}`).join(', ')
    throw new ImageError('InvalidImage', `the image has more than one file in /disk (${names}): name one with path`)
  }
  return { file: first[1].file, name: `/${first[0]}` }
}

const hole = 64 * 1024
const zeros = Buffer.alloc(hole)

/** Blocks of zeros become holes: a raw disk takes the space of its data only. */
async function writeSparse(entry: TarEntry, path: string, budget: { bytes: number }): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    let position = 0
    for await (const chunk of gather(entry.body(), 16 * hole)) {
      for (let at = 0; at < chunk.length; at += hole) {
        const part = chunk.subarray(at, at + hole)
        if (!part.equals(part.length === hole ? zeros : zeros.subarray(0, part.length)))
          await writeWithin(file, part, position + at, budget)
      }
      position += chunk.length
    }
    await file.truncate(position)
    await file.datasync()
  } finally {
    await file.close()
  }
}

async function writeWithin(file: FileHandle, part: Buffer, position: number, budget: { bytes: number }): Promise<void> {
  budget.bytes -= part.length
  if (budget.bytes < 0) throw new ImageError('InvalidImage', 'the disk in the image is larger than the space for it')
  await file.write(part, 0, part.length, position)
}

/** Chunks of exactly `size` bytes, the last one as it is. */
async function* gather(source: AsyncIterable<Buffer>, size: number): AsyncGenerator<Buffer> {
  let parts: Buffer[] = []
  let held = 0
  for await (let chunk of source) {
    while (held + chunk.length >= size) {
      const missing = size - held
      yield Buffer.concat([...parts, chunk.subarray(0, missing)], size)
      chunk = chunk.subarray(missing)
      parts = []
      held = 0
    }
    if (chunk.length > 0) parts.push(chunk)
    held += chunk.length
  }
  if (held > 0) yield Buffer.concat(parts, held)
}
