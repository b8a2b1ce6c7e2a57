// Measures the tar stream of an image's layer as it flows by, before anybody unpacks it: bytes, entries, and what sparse
// files would become. It reads headers as Go's archive/tar does (1.19 and later), because that is who unpacks; what that
// one would understand in another way is refused.

import type { LayerLimits } from './layer-limits.ts'
import { padding, paxRecords } from './tar-reader.ts'

export class LayerRefused extends Error {
  /** As what `push` answers. */
  readonly safe: number | undefined
  constructor(message: string, safe: number | undefined) {
    super(message)
    this.name = 'LayerRefused'
    this.safe = safe
  }
}

export interface LayerGauge {
  /**
   * How many bytes of the chunk may be passed on, after all of those before it; the rest belongs to headers that have not
   * all come. Undefined: those began in an earlier chunk, and nothing may. So whoever reads is at the start of an entry
   * or in its content, never between a header and what it extends.
   * @throws LayerRefused
   */
  push(chunk: Buffer): number | undefined
}

export interface GaugeWords {
  tooLarge: string
  tooMany: string
  /** Undefined while there is room for so many more bytes on this machine. */
  noRoom?: (bytes: number) => string | undefined
}

const block = 512
/** Of pax records and GNU's long names: as much as Go reads. */
const extensionLimit = 1024 * 1024
/** Of one entry, together. */
const headersLimit = 4 * extensionLimit
/** A path that makes more folders than a person would counts for each of them. */
const usualDepth = 32
/** How often the machine's room is looked at. */
const lookEvery = 64 * 1024 * 1024
const lookEveryEntries = 4096
/** Links, devices, folders and pipes have no content, whatever their size says. */
const headerOnly = '123456'

type Step = 'header' | 'skip' | 'extension' | 'sparse-map' | 'end'

export function createLayerGauge(limits: LayerLimits, words: GaugeWords): LayerGauge {
  let step: Step = 'header'
  let left = 0
  let kept: Buffer[] = []
  let keptSize = 0
  let pax: Map<string, string> | undefined
  let longName = ''
  let flag = ''
  let bodySize = 0
  let entries = 0
  /** Of the stream, and what sparse files add to it. */
  let bytes = 0
  let added = 0
  let lookAt = 0
  let lookAtEntry = 0
  /** Of the headers of one entry: where they began in the chunk, and their size so far. */
  let start: number | undefined
  let headers = 0

  /** All of `size` bytes once they are there. */
  function gather(chunk: Buffer, at: number, size: number): { whole?: Buffer; taken: number } {
    const part = chunk.subarray(at, at + size - keptSize)
    if (keptSize === 0 && part.length === size) return { whole: part, taken: size }
    kept.push(Buffer.from(part))
    keptSize += part.length
    if (keptSize < size) return { taken: part.length }
    const whole = Buffer.concat(kept)
    kept = []
    keptSize = 0
    return { whole, taken: part.length }
  }

  function checkRoom(more: number): string | undefined {
    if (more < lookEvery && bytes + added + more < lookAt && entries < lookAtEntry) return undefined
    lookAt = bytes + added + more + lookEvery
    lookAtEntry = entries + lookEveryEntries
    return words.noRoom?.(more)
  }

  function begin(header: Buffer): void {
    if (header.every((byte) => byte === 0)) {
      step = 'end'
      headers = 0
      return
    }
    flag = String.fromCharCode(header[156]!)
    const size = numberIn(header, 124, 12)
    if ('xgLK'.includes(flag)) {
      if (size > extensionLimit) throw new Error('an extended header is too large')
      left = size
      step = 'extension'
      return
    }
    const name = pax?.get('path') || longName || header.toString('latin1', 0, 100)
    entries += 1 + Math.max(0, name.split('/').length - usualDepth)
    const own = pax?.get('size') ? decimal(pax.get('size')!) : size
    bodySize = headerOnly.includes(flag) ? 0 : own
    const real = flag === 'S' ? numberIn(header, 483, 12) : sparseSize(pax)
    added += Math.max(0, real - bodySize)
    const room = checkRoom(bodySize + Math.max(0, real - bodySize))
    if (entries > limits.entries) throw new Error(words.tooMany)
    if (bytes + added + bodySize > limits.bytes) throw new Error(words.tooLarge)
    if (room !== undefined) throw new Error(room)
    pax = undefined
    longName = ''
    if (flag === 'S' && header[482]) step = 'sparse-map'
    else skipBody()
  }

  function skipBody(): void {
    left = bodySize + padding(bodySize)
    step = left > 0 ? 'skip' : 'header'
    headers = 0
  }

  function extension(whole: Buffer): void {
    if (flag === 'x') pax = paxRecords(whole)
    if (flag === 'L') longName = whole.toString('latin1').replace(/\0.*$/s, '')
    left = padding(whole.length)
    step = left > 0 ? 'skip' : 'header'
    if (headers > headersLimit) throw new Error('an entry has too many extended headers')
  }

  function readHeaders(chunk: Buffer, at: number): number {
    if (headers === 0) start = at
    const { whole, taken } = gather(chunk, at, step === 'extension' ? left : block)
    bytes += taken
    headers += taken
    if (!whole) return taken
    if (step === 'header') begin(whole)
    else if (step === 'extension') extension(whole)
    else if (!whole[504]) skipBody()
    return taken
  }

  function advance(chunk: Buffer, at: number): number {
    if (step === 'header' || step === 'extension' || step === 'sparse-map') return readHeaders(chunk, at)
    const taken = step === 'skip' ? Math.min(left, chunk.length - at) : chunk.length - at
    bytes += taken
    if (headers > 0) headers += taken
    if (step === 'end' && bytes > limits.bytes) throw new Error(words.tooLarge)
    if (step === 'skip') {
      left -= taken
      if (left === 0) step = 'header'
    }
    return taken
  }

  return {
    push(chunk) {
      if (headers > 0) start = undefined
      try {
        for (let at = 0; at < chunk.length; ) at += advance(chunk, at)
      } catch (error) {
        throw new LayerRefused((error as Error).message, start)
      }
      return headers > 0 ? start : chunk.length
    },
  }
}

/** Octal, or base 256 when the first bit is set. */
function numberIn(header: Buffer, from: number, length: number): number {
  const field = header.subarray(from, from + length)
  if (field[0]! & 0x80) {
    if (field[0]! & 0x40) throw new Error('an entry has a size below zero')
    return Number(BigInt(`0x${field.toString('hex')}`) & ((1n << 95n) - 1n))
  }
  const text = field
    .toString('latin1')
    .replace(/^[ \0]+|[ \0]+$/g, '')
    .replace(/\0.*$/s, '')
  if (!/^[0-7]*$/.test(text)) throw new Error('it is not a tar archive, or it is damaged')
  return Number.parseInt(text || '0', 8)
}

function decimal(text: string): number {
  if (!/^\+?\d{1,19}$/.test(text)) throw new Error(`an entry has the size ${JSON.stringify(text.slice(0, 20))}`)
  return Number(text)
}

function sparseSize(pax: Map<string, string> | undefined): number {
  const sizes = ['GNU.sparse.size', 'GNU.sparse.realsize'].map((key) => pax?.get(key))
  return Math.max(0, ...sizes.map((text) => (text ? decimal(text) : 0)))
}
