// Sets every inode's times in a fresh ext4 file system, so that building twice gives the same bytes: mke2fs takes the
// change times from the source directory, which nobody can set. Layout: Linux Documentation/filesystems/ext4 (6.1).

import { type FileHandle, open } from 'node:fs/promises'

const superblockAt = 1024

/** The file system must have been made without metadata_csum: then no checksum covers an inode. */
export async function settleTimes(image: string, offset: number, epoch: number): Promise<void> {
  const file = await open(image, 'r+')
  try {
    const superblock = await readAt(file, offset + superblockAt, 1024)
    if (superblock.readUInt16LE(0x38) !== 0xef53) throw new Error(`${image} has no ext4 file system`)
    const layout = readLayout(superblock)
    const groups = Math.ceil(layout.inodeCount / layout.inodesPerGroup)
    const descriptors = await readAt(file, offset + layout.blockSize, groups * layout.descriptorSize)
    for (let group = 0; group < groups; group++) {
      const descriptor = descriptors.subarray(group * layout.descriptorSize)
      const low = descriptor.readUInt32LE(8)
      const high = layout.descriptorSize >= 64 ? descriptor.readUInt32LE(0x28) : 0
      const table = offset + (high * 2 ** 32 + low) * layout.blockSize
      const unused = descriptor.readUInt16LE(0x1c)
      const used = Math.min(layout.inodesPerGroup, layout.inodesPerGroup - unused)
      if (used > 0) await settleTable(file, table, used, layout.inodeSize, epoch)
    }
  } finally {
    await file.close()
  }
}

function readLayout(superblock: Buffer) {
  const has64bit = (superblock.readUInt32LE(0x60) & 0x80) !== 0
  return {
    inodeCount: superblock.readUInt32LE(0),
    inodesPerGroup: superblock.readUInt32LE(0x28),
    blockSize: 1024 << superblock.readUInt32LE(0x18),
    inodeSize: superblock.readUInt16LE(0x58),
    descriptorSize: has64bit ? superblock.readUInt16LE(0xfe) : 32,
  }
}

async function settleTable(file: FileHandle, at: number, count: number, inodeSize: number, epoch: number) {
  const table = await readAt(file, at, count * inodeSize)
  for (let index = 0; index < count; index++) {
    const inode = table.subarray(index * inodeSize, (index + 1) * inodeSize)
    if (inode.readUInt16LE(0) === 0) continue // no mode: not in use
    for (const field of [8, 12, 16]) inode.writeUInt32LE(Math.min(epoch, inode.readUInt32LE(field)), field)
    inode.writeUInt32LE(epoch, 12) // change time
    inode.writeUInt32LE(epoch, 8) // access time
    if (inodeSize <= 128) continue
    for (const extra of [0x84, 0x88, 0x8c]) inode.writeUInt32LE(0, extra) // parts of a second
    inode.writeUInt32LE(epoch, 0x90) // creation time
    inode.writeUInt32LE(0, 0x94)
  }
  await file.write(table, 0, table.length, at)
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  const { bytesRead } = await file.read(buffer, 0, length, position)
  if (bytesRead !== length) throw new Error('the file system ends early')
  return buffer
}
