// A picture of the guest's screen. QEMU writes it into a file that Tandem made and holds open, so that what is read is
// that file, whatever QEMU puts in its place.

import { closeSync, constants, fchownSync, fstatSync, openSync, readSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { ApiError } from '../../api/errors.ts'
import type { Machine } from './machine.ts'
import type { Qmp } from './qmp.ts'

const fileName = 'screen.png'
/** A screen of 16 MiB of video memory, not compressed at all. */
const largest = 64 * 1024 * 1024
const pngSignature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])

/** There and back again: the pointer is where it was, and a screen saver is gone. */
const nudge = (distance: number) => ({
  events: [{ type: 'rel', data: { axis: 'x', value: distance } }],
})

/** One at a time for each machine: they share the name of the file. */
const busy = new WeakMap<Machine, Promise<unknown>>()

/** A PNG file. @throws ApiError when the machine has no screen */
export function takeScreenshot(machine: Machine, qmp: Qmp, moveCursor: boolean): Promise<Uint8Array> {
  const turn = (busy.get(machine) ?? Promise.resolve()).then(() => take(machine, qmp, moveCursor))
  busy.set(
    machine,
    turn.catch(() => {}),
  )
  return turn
}

async function take(machine: Machine, qmp: Qmp, moveCursor: boolean): Promise<Uint8Array> {
  if (moveCursor) for (const distance of [1, -1]) await qmp.execute('input-send-event', nudge(distance))
  const path = join(machine.directory, fileName)
  rmSync(path, { force: true, recursive: true })
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
  try {
    const { user } = machine.record
    if (user !== undefined) fchownSync(file, user, user)
    await qmp.execute('screendump', { filename: fileName, format: 'png' })
    return read(file)
  } finally {
    closeSync(file)
    rmSync(path, { force: true, recursive: true })
  }
}

function read(file: number): Uint8Array {
  const { size } = fstatSync(file)
  if (size > largest) throw new ApiError('InternalError', `the picture has ${size} bytes, more than ${largest}`)
  const picture = Buffer.alloc(size)
  for (let at = 0; at < size; ) {
    const count = readSync(file, picture, at, size - at, at)
    if (count === 0) break
    at += count
  }
  if (!picture.subarray(0, pngSignature.length).equals(pngSignature))
    throw new ApiError('InternalError', 'QEMU made no picture; try again once the guest shows something')
  return picture
}
