// What a downloaded file is, by its own bytes: the format is never guessed by qemu-img, and a file that would make it open
// others is refused before it looks.

import { checkQcow2Header } from '../images/disk-format.ts'
import { ImportError } from './failure.ts'

/** As qemu-img calls them. */
export type ImportFormat = 'raw' | 'qcow2' | 'vmdk' | 'vdi' | 'vpc' | 'vhdx'

const sector = 512

export const bytesToKnow = 1024 * 1024

/** @param head the first bytes (at most bytesToKnow), @param tail the last 512 */
export function formatOf(head: Buffer, tail: Buffer): ImportFormat {
  const at = (offset: number, length: number) => head.toString('latin1', offset, offset + length)
  if (at(0, 4) === 'QFI\xfb') {
    checkQcow2Header(head, 'the image')
    return 'qcow2'
  }
  if (at(0, 4) === 'KDMV') {
    checkVmdk(head)
    return 'vmdk'
  }
  if (at(0, 4) === 'COWD' || at(0, 21) === '# Disk DescriptorFile')
    throw new ImportError('the image is a VMDK that keeps its data in other files: export it as one (streamOptimized)')
  if (at(0, 4) === 'QED\0') throw new ImportError('Invalid format qed for image')
  if (at(0, 8) === 'vhdxfile') return 'vhdx'
  if (head.length >= 68 && head.readUInt32LE(64) === 0xbeda107f) return 'vdi'
  // A dynamic VHD begins with its footer, a fixed one only ends with it.
  if (at(0, 8) === 'conectix' || tail.toString('latin1', 0, 8) === 'conectix') return 'vpc'
  return 'raw'
}

const packed = ['\x1f\x8b', '\x28\xb5\x2f\xfd', '\xfd7zXZ']
const formatted = ['QFI\xfb', 'KDMV', 'vhdxfile', 'conectix']

/** Neither packed nor in a format: as long as it is, so long is the disk. */
export const looksRaw = (first: Buffer): boolean =>
  first.length >= 68 &&
  first.readUInt32LE(64) !== 0xbeda107f &&
  ![...packed, ...formatted].some((magic) => first.toString('latin1', 0, magic.length) === magic)

/** Fields as the VMDK 1.1 specification places them; the description inside must name no parent and no other file. */
function checkVmdk(head: Buffer): void {
  if (head.length < sector) throw new ImportError('the image is a VMDK that ends in its header')
  if (head.readBigUInt64LE(12) === 0n)
    throw new ImportError('the image is a VMDK without data of its own: export it as one file')
  const from = Number(head.readBigUInt64LE(28)) * sector
  const length = Number(head.readBigUInt64LE(36)) * sector
  if (from === 0) return
  if (length > bytesToKnow || from + length > head.length)
    throw new ImportError('the image is a VMDK whose description is not at its beginning')
  const text = head.toString('latin1', from, from + length).replace(/\0.*$/s, '')
  const parent = /^parentCID\s*=\s*([0-9a-fA-F]+)/m.exec(text)?.[1]
  if ((parent && parent.toLowerCase() !== 'ffffffff') || /^parentFileNameHint/m.test(text))
    throw new ImportError('Image is invalid because it has invalid backing file: a VMDK must stand alone')
  const extents = text.match(/^\s*(RW|RDONLY|NOACCESS)\s+\d+\s+\S+/gm) ?? []
  if (extents.length > 1 || extents.some((line) => !/\sSPARSE$/.test(line)))
    throw new ImportError('the image is a VMDK that keeps its data in other files: export it as one (streamOptimized)')
}
