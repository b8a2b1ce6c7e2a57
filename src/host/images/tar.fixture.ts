// Makes tar bytes for tests, good ones and bad ones: any name, any type, any claimed size.

import { tarFile, tarPadding } from './tar-writer.ts'

export interface FixtureEntry {
  name: string
  content?: string | Buffer
  /** Type flag of the header: '0' file, '2' symlink, '5' directory … */
  flag?: string
  linkName?: string
  /** Instead of the content's own length. */
  size?: number
}

export function tarOf(...entries: FixtureEntry[]): Buffer {
  return Buffer.concat([...entries.flatMap((entry) => entryBytes(entry)), Buffer.alloc(1024)])
}

function entryBytes({ name, content = '', flag = '0', linkName = '', size }: FixtureEntry): Buffer[] {
  const bytes = Buffer.from(content as string)
  const header = tarFile(name, size ?? bytes.length)
  header.write(flag, 156)
  header.write(linkName, 157)
  return [withChecksum(header), bytes, tarPadding(bytes.length)]
}

export function withChecksum(header: Buffer): Buffer {
  header.write('        ', 148)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}

/** pax records before the next entry. */
export function paxEntry(records: Record<string, string>): FixtureEntry {
  const lines = Object.entries(records).map(([key, value]) => {
    const body = ` ${key}=${value}\n`
    let length = body.length + 1
    while (String(length).length + body.length !== length) length++
    return `${length}${body}`
  })
  return { name: 'pax', flag: 'x', content: lines.join('') }
}

/** The bytes in pieces of awkward sizes, as a network gives them. */
export async function* inPieces(bytes: Buffer, size = 700): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
