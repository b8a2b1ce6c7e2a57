// Raw block volumes: a file of the volume as a loop device, one for everybody who uses the volume. Which Pod uses which
// file stands in pods/<uid>/devices, so that the device goes with the last of them, whoever started it.

import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { run } from '../exec.ts'

export interface Loops {
  /** The device of a file, the same for everybody; it is as long as the file. */
  attach(file: string): Promise<string>
  detach(file: string): Promise<void>
}

export const systemLoops: Loops = {
  async attach(file) {
    const { stdout } = await run(['losetup', '--find', '--show', '--nooverlap', file])
    const device = stdout.trim()
    await run(['losetup', '--set-capacity', device])
    return device
  },
  async detach(file) {
    if (!existsSync(file)) return
    const { stdout } = await run(['losetup', '--noheadings', '--output', 'NAME', '--associated', file])
    for (const device of stdout.split('\n').filter(Boolean)) await run(['losetup', '--detach', device.trim()])
  },
}

/** The file that holds the volume's bytes; a machine finds its disk under the same name. */
const fileName = 'disk.img'

/** Makes the file if it is not there, and longer if the volume has grown. */
export function blockFile(directory: string, bytes: number): string {
  const path = join(directory, fileName)
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o660)
  try {
    const stat = fstatSync(file)
    if (!stat.isFile()) throw new Error(`${path} is not a file`)
    if (stat.size < bytes) ftruncateSync(file, bytes)
  } finally {
    closeSync(file)
  }
  return path
}

export interface BlockDevices {
  /** The device for a volume of a Pod: the volume's own, or a loop device on the file in its directory. */
  attach(podUid: string, volume: string, path: string, bytes: number): Promise<string>
  /** What no other Pod uses is detached. */
  detachAll(podUid: string): Promise<void>
}

const devicesOf = (pods: string, uid: string): string => join(pods, uid, 'devices')

function usedBy(pods: string, uid: string): string[] {
  const directory = devicesOf(pods, uid)
  if (!existsSync(directory)) return []
  return readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'))
}

export function createBlockDevices(pods: string, loops: Loops = systemLoops): BlockDevices {
  return {
    async attach(podUid, volume, path, bytes) {
      if (statSync(path).isBlockDevice()) return path
      const file = blockFile(path, bytes)
      const directory = devicesOf(pods, podUid)
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      writeFileSync(join(directory, volume), file)
      return loops.attach(file)
    },
    async detachAll(podUid) {
      const files = usedBy(pods, podUid)
      if (files.length === 0) return
      rmSync(devicesOf(pods, podUid), { recursive: true, force: true })
      const others = new Set(readdirSync(pods).flatMap((uid) => usedBy(pods, uid)))
      for (const file of files) if (!others.has(file)) await loops.detach(file)
    },
  }
}

/** For a machine that Tandem leaves. */
export async function detachAllDevices(pods: string, loops: Loops = systemLoops): Promise<void> {
  if (!existsSync(pods)) return
  for (const uid of readdirSync(pods)) for (const file of usedBy(pods, uid)) await loops.detach(file)
}
