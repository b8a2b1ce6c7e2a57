// Proves what a disk file is before any VM opens it: by its own bytes first, then by qemu-img under limits. A qcow2 file
// may name other files of the host; such a one is refused (CVE-2015-5163, CVE-2024-32498).

import { open } from 'node:fs/promises'
import { run } from '../exec.ts'
import { ImageError } from './images.ts'

export interface DiskFormat {
  format: 'raw' | 'qcow2'
  virtualSize: number
}

const tebibyte = 2 ** 40
const largestDisk = 16 * tebibyte

/** @param what for messages: the file's name inside its image. @throws ImageError */
export async function proveDiskFormat(path: string, what: string): Promise<DiskFormat> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const head = Buffer.alloc(Math.min(size, 1024 * 1024))
    await file.read(head, 0, head.length, 0)
    const format = recognize(head, size, what)
    if (format === 'raw') return { format, virtualSize: size }
    checkQcow2Header(head, what)
  } finally {
    await file.close()
  }
  return { format: 'qcow2', virtualSize: await askQemuImg(path, what) }
}

const refuse = (what: string, why: string) => new ImageError('InvalidImage', `${what} ${why}`)

/** Other formats, which "raw" would swallow without a word: the guest would see their headers as its first sector. */
const strangers: [name: string, at: number, magic: string][] = [
  ['VMDK', 0, 'KDMV'],
  ['VMDK', 0, 'COWD'],
  ['VMDK', 0, '# Disk Descriptor'],
  ['VHDX', 0, 'vhdxfile'],
  ['VHD', 0, 'conectix'],
  ['QED', 0, 'QED\0'],
  ['VDI', 64, '\x7f\x10\xda\xbe'],
  ['gzip', 0, '\x1f\x8b'],
  ['zstd', 0, '\x28\xb5\x2f\xfd'],
  ['xz', 0, '\xfd7zXZ'],
  ['bzip2', 0, 'BZh'],
  ['zip', 0, 'PK\x03\x04'],
  ['tar', 257, 'ustar'],
  ['ELF', 0, '\x7fELF'],
]

export function recognize(head: Buffer, size: number, what: string): 'raw' | 'qcow2' {
  const at = (offset: number, length: number) => head.toString('latin1', offset, offset + length)
  if (at(0, 4) === 'QFI\xfb') return 'qcow2'
  const stranger = strangers.find(([, offset, magic]) => at(offset, magic.length) === magic)
  if (stranger)
    throw refuse(what, `is a ${stranger[0]} file: a VM disk must be qcow2 or raw (qemu-img convert makes one)`)
  if (size === 0 || size % 512 !== 0)
    throw refuse(
      what,
      `is not a disk image: it is neither qcow2 nor a whole number of 512-byte sectors (${size} bytes)`,
    )
  if (size > largestDisk) throw refuse(what, 'is larger than 16 TiB')
  return 'raw'
}

/** Fields of the header as QEMU docs/interop/qcow2.txt (7.2) places them. */
export function checkQcow2Header(head: Buffer, what: string): void {
  if (head.length < 104) throw refuse(what, 'is a qcow2 file that ends in its header')
  const version = head.readUInt32BE(4)
  if (version !== 2 && version !== 3) throw refuse(what, `is qcow2 version ${version}; 2 and 3 are known`)
  if (head.readBigUInt64BE(8) !== 0n || head.readUInt32BE(16) !== 0)
    throw refuse(what, 'has a backing file: a disk in an image must stand alone (qemu-img convert makes it so)')
  const clusterBits = head.readUInt32BE(20)
  if (clusterBits < 9 || clusterBits > 21) throw refuse(what, `has an impossible cluster size (2^${clusterBits})`)
  const size = Number(head.readBigUInt64BE(24))
  if (size === 0 || size > largestDisk) throw refuse(what, `has an impossible size (${size} bytes)`)
  if (head.readUInt32BE(32) !== 0) throw refuse(what, 'is encrypted')
  // One level-1 entry maps a cluster of level-2 entries: a table longer than the disk needs only eats memory.
  const bytesPerEntry = 2 ** (clusterBits + clusterBits - 3)
  if (head.readUInt32BE(36) > Math.max(1, Math.ceil(size / bytesPerEntry)) * 2 + 64)
    throw refuse(what, 'has a mapping table that is too large')
  if (head.readUInt32BE(60) !== 0) throw refuse(what, 'has snapshots inside: convert it without them')
  if (version === 3) checkVersion3(head, what)
  else checkExtensions(head, 72, what)
}

function checkVersion3(head: Buffer, what: string): void {
  const incompatible = head.readBigUInt64BE(72)
  if (incompatible & 4n) throw refuse(what, 'keeps its data in another file: a disk in an image must stand alone')
  if (incompatible & 3n) throw refuse(what, 'was not closed cleanly or is corrupt (qemu-img check -r repairs it)')
  // 8: compression type, 16: extended level-2 entries
  if (incompatible & ~0x18n) throw refuse(what, 'uses qcow2 features that are not known')
  checkExtensions(head, head.readUInt32BE(100), what)
}

function checkExtensions(head: Buffer, start: number, what: string): void {
  for (let at = start; at + 8 <= head.length; ) {
    const type = head.readUInt32BE(at)
    const length = head.readUInt32BE(at + 4)
    if (type === 0) return
    if (type === 0x44415441) throw refuse(what, 'names an external data file: a disk in an image must stand alone')
    if (type === 0xe2792aca) throw refuse(what, 'names a backing format: a disk in an image must stand alone')
    at += 8 + Math.ceil(length / 8) * 8
  }
  throw refuse(what, 'has a header without an end')
}

/** The second witness. Memory, time and output are bounded, and the format is never guessed. */
async function askQemuImg(path: string, what: string): Promise<number> {
  const limits = ['prlimit', '--as=1073741824', '--cpu=10', '--core=0', '--nofile=64', '--fsize=0']
  let info: Record<string, any>
  try {
    const { stdout } = await run([...limits, 'qemu-img', 'info', '--output=json', '-f', 'qcow2', path], {
      timeoutMs: 30_000,
    })
    info = JSON.parse(stdout)
  } catch (error) {
    const why = (error as Error).message.replaceAll(path, 'it').split(': ').slice(-1)[0]
    throw new ImageError('InvalidImage', `${what} is not a usable qcow2 file: ${why}`, { cause: error })
  }
  const names = ['backing-filename', 'full-backing-filename', 'backing-image']
  if (names.some((name) => info[name] !== undefined) || info['format-specific']?.data?.['data-file'] !== undefined)
    throw refuse(what, 'refers to another file: a disk in an image must stand alone')
  return Number(info['virtual-size'])
}
