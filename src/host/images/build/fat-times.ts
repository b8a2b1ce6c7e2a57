// Sets the times of the few directory entries of a fresh EFI system partition: mtools takes some from the clock.
// Layout: Microsoft FAT specification, 32-byte directory entries.

import { open } from 'node:fs/promises'

const entrySize = 32
/** The directories of a partition with one file are at its start. */
const directoriesWithin = 256 * 1024

/** @param names as they are in the directory: "EFI        ", "BOOTX64 EFI" */
export async function settleFatTimes(disk: string, offset: number, names: string[]): Promise<void> {
  const file = await open(disk, 'r+')
  try {
    const start = Buffer.alloc(directoriesWithin)
    await file.read(start, 0, start.length, offset)
    settleEntries(start, names)
    await file.write(start, 0, start.length, offset)
  } finally {
    await file.close()
  }
}

/** 1 January 1980, the beginning of FAT's time. */
const firstDay = 0x0021

export function settleEntries(bytes: Buffer, names: string[]): void {
  for (let at = 0; at + entrySize <= bytes.length; at += entrySize) {
    if (!names.includes(bytes.toString('latin1', at, at + 11))) continue
    bytes.fill(0, at + 13, at + 16) // created: time
    bytes.writeUInt16LE(firstDay, at + 16)
    bytes.writeUInt16LE(firstDay, at + 18) // last access
    bytes.writeUInt16LE(0, at + 22) // last write: time
    bytes.writeUInt16LE(firstDay, at + 24)
  }
}
