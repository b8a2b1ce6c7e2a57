// Reads a tar stream that nobody vouches for: headers proved by their checksum, names and extensions bounded, bytes and
// entries limited, nothing written. Formats: POSIX.1-2001 pax, ustar, and GNU long names.

export type TarType = 'file' | 'directory' | 'symlink' | 'link' | 'device' | 'other'

export interface TarEntry {
  /** Without leading "./" or "/"; never contains "..". */
  name: string
  type: TarType
  size: number
  linkName: string
  /** The content; what is not read is skipped. */
  body(): AsyncGenerator<Buffer>
}

export interface TarLimits {
  /** Bytes of the whole stream, after decompression. */
  bytes: number
  entries: number
}

export class TarError extends Error {}

const block = 512
const extensionLimit = 1024 * 1024
const types: Record<string, TarType> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'device',
  '4': 'device',
  '5': 'directory',
  '6': 'device',
}

/** @throws TarError */
export async function* readTar(source: AsyncIterable<Uint8Array>, limits: TarLimits): AsyncGenerator<TarEntry> {
  const reader = new ByteReader(source, limits.bytes)
  let extra: Record<string, string> = {}
  for (let entries = 0; ; ) {
    const header = await reader.block()
    if (!header || header.every((byte) => byte === 0)) return
    if (++entries > limits.entries) throw new TarError(`more than ${limits.entries} entries`)
    const raw = parseHeader(header)
    if (raw.flag === 'x' || raw.flag === 'g' || raw.flag === 'L' || raw.flag === 'K') {
      if (raw.size > extensionLimit) throw new TarError('an extended header is too large')
      const bytes = await reader.exactly(raw.size)
      await reader.skip(padding(raw.size))
      // A global header holds for what follows; nothing in it matters here.
      if (raw.flag !== 'g') extra = { ...extra, ...extension(raw.flag, bytes) }
      continue
    }
    if (raw.flag === 'S' || Object.keys(extra).some((key) => key.startsWith('GNU.sparse')))
      throw new TarError('sparse entries are not supported: make the archive without --sparse')
    const size = extra.size === undefined ? raw.size : wholeNumber(extra.size)
    const type = types[raw.flag] ?? 'other'
    const length = type === 'file' || type === 'other' ? size : 0
    const body = reader.limited(length)
    yield {
      name: safeName(extra.path ?? raw.name),
      type: type === 'file' && /\/$/.test(extra.path ?? raw.name) ? 'directory' : type,
      size: length,
      linkName: extra.linkpath ?? raw.linkName,
      body: () => body.read(),
    }
    await body.rest()
    await reader.skip(padding(length))
    extra = {}
  }
}

export const padding = (size: number): number => (block - (size % block)) % block

function parseHeader(header: Buffer) {
  const stored = octal(header.subarray(148, 156))
  let sum = 8 * 0x20
  for (let index = 0; index < block; index++) if (index < 148 || index >= 156) sum += header[index]!
  if (sum !== stored) throw new TarError('it is not a tar archive, or it is damaged')
  const text = (from: number, to: number) => header.toString('utf8', from, to).replace(/\0.*$/s, '')
  const prefix = text(257, 262) === 'ustar' && header[263] === 0x30 ? text(345, 500) : ''
  return {
    name: prefix ? `${prefix}/${text(0, 100)}` : text(0, 100),
    size: numberField(header.subarray(124, 136)),
    flag: String.fromCharCode(header[156]!),
    linkName: text(157, 257),
  }
}

const octal = (field: Buffer): number => Number.parseInt(field.toString('latin1').replace(/[\0 ].*$/s, '') || '0', 8)

/** Octal, or base 256 when the first bit is set (GNU). */
function numberField(field: Buffer): number {
  if (!(field[0]! & 0x80))
    return wholeNumber(String(octal(Buffer.from(field.toString('latin1').trimStart(), 'latin1'))))
  const value = BigInt(`0x${field.toString('hex')}`) & ((1n << 95n) - 1n)
  return wholeNumber(String(value))
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new TarError(`an entry has the size ${text}`)
  return value
}

/** GNU long names are the bare name. */
function extension(flag: string, bytes: Buffer): Record<string, string> {
  if (flag === 'L') return { path: bytes.toString('utf8').replace(/\0.*$/s, '') }
  if (flag === 'K') return { linkpath: bytes.toString('utf8').replace(/\0.*$/s, '') }
  return Object.fromEntries(paxRecords(bytes))
}

/** "length key=value\n" each. @throws TarError */
export function paxRecords(bytes: Buffer): Map<string, string> {
  const records = new Map<string, string>()
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at)
    const length = Number(bytes.toString('latin1', at, space))
    if (space < 0 || !(length > space - at + 2) || at + length > bytes.length)
      throw new TarError('a pax header is damaged')
    const record = bytes.toString('utf8', space + 1, at + length - 1)
    const equals = record.indexOf('=')
    if (equals < 1) throw new TarError('a pax header is damaged')
    records.set(record.slice(0, equals), record.slice(equals + 1))
    at += length
  }
  return records
}

function safeName(name: string): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..') || name.includes('\0'))
    throw new TarError(`the entry ${JSON.stringify(name)} points outside`)
  return parts.join('/')
}

class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>
  readonly #limit: number
  #rest: Buffer = Buffer.alloc(0)
  #total = 0

  constructor(source: AsyncIterable<Uint8Array>, limit: number) {
    this.#source = source[Symbol.asyncIterator]()
    this.#limit = limit
  }

  /** At most `most` bytes, at least one; undefined at the end. */
  async some(most: number): Promise<Buffer | undefined> {
    while (this.#rest.length === 0) {
      const { value, done } = await this.#source.next()
      if (done) return undefined
      this.#total += value.length
      if (this.#total > this.#limit) throw new TarError(`it unpacks to more than ${this.#limit} bytes`)
      this.#rest = Buffer.from(value.buffer, value.byteOffset, value.length)
    }
    const taken = this.#rest.subarray(0, most)
    this.#rest = this.#rest.subarray(taken.length)
    return taken
  }

  async block(): Promise<Buffer | undefined> {
    const first = await this.some(block)
    if (!first) return undefined
    return first.length === block ? first : Buffer.concat([first, await this.exactly(block - first.length)])
  }

  async exactly(length: number): Promise<Buffer> {
    const parts: Buffer[] = []
    for await (const part of this.limited(length).read()) parts.push(part)
    return Buffer.concat(parts)
  }

  async skip(length: number): Promise<void> {
    await this.limited(length).rest()
  }

  limited(length: number) {
    let left = length
    const read = async function* (this: ByteReader) {
      while (left > 0) {
        const part = await this.some(left)
        if (!part) throw new TarError('it ends early')
        left -= part.length
        yield part
      }
    }.bind(this)
    return {
      read,
      rest: async () => {
        for await (const _ of read());
      },
    }
  }
}
