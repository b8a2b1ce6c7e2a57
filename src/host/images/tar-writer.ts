// Headers of a plain tar file: for archives that we compose ourselves, with short names of our own choosing.

const block = 512

/** @param name at most 100 bytes: a digest path or a document's name */
export function tarFile(name: string, size: number): Buffer {
  const header = Buffer.alloc(block)
  if (Buffer.byteLength(name) > 100) throw new Error(`${name} is too long for a tar header`)
  header.write(name, 0)
  header.write('0000644\0', 100)
  header.write('0000000\0', 108)
  header.write('0000000\0', 116)
  header.write(sizeField(size), 124, 12, 'latin1')
  header.write('00000000000\0', 136)
  header.write('0', 156)
  header.write('ustar\x0000', 257)
  return withSum(header)
}

/** A hard link. @param target at most 100 bytes */
export function tarLink(name: string, target: string): Buffer {
  const header = tarFile(name, 0)
  header.write('1', 156)
  header.write(target, 157, 100)
  return withSum(header)
}

function withSum(header: Buffer): Buffer {
  header.write('        ', 148)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}

/** Octal up to 8 GiB, base 256 above (as GNU tar and Go's archive/tar read it). */
function sizeField(size: number): string {
  if (size < 0o77777777777) return `${size.toString(8).padStart(11, '0')}\0`
  const bytes = Buffer.alloc(12)
  bytes[0] = 0x80
  bytes.writeBigUInt64BE(BigInt(size), 4)
  return bytes.toString('latin1')
}

export const tarPadding = (size: number): Buffer => Buffer.alloc((block - (size % block)) % block)

export const endOfTar: Buffer = Buffer.alloc(2 * block)
