// A template in the form that machines start from in no time: its memory as a plain file, to be mapped, and the state of
// its devices apart from it. Made once, by a QEMU that loads the snapshot and never runs the guest.

import { chownSync, existsSync, mkdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { machineFiles } from './plan.ts'
import { isAlive, killAndWait, type ProcessIdentity } from './process.ts'
import { openQmp, type Qmp } from './qmp.ts'
import { loadRam, saveRam } from './ram-stream.ts'
import { copyDisk } from './snapshot-files.ts'
import { withSocketPath } from './socket-path.ts'
import type { Template } from './template.ts'

/** In the machine's directory, where QEMU may open files by name. */
export const bakedRam = 'template.ram'
const folder = 'baked'

export const bakedFiles = ({ directory }: Template) => ({
  memory: join(directory, folder, 'memory'),
  devices: join(directory, folder, 'devices'),
})

/** What is shared is not written to the stream, and not expected in it. */
export const withoutMemory = (qmp: Qmp, state: boolean): Promise<unknown> =>
  qmp.execute('migrate-set-capabilities', { capabilities: [{ capability: 'x-ignore-shared', state }] })

const inWork = new Map<string, Promise<void>>()

export interface Oven {
  directory: string
  memoryBytes: number
  user?: { uid: number; gid: number }
  /** Starts a QEMU whose memory is `bakedRam`, shared, and that waits for a state. */
  launch(): Promise<ProcessIdentity>
}

export async function bake(template: Template, oven: Oven): Promise<void> {
  if (existsSync(join(template.directory, folder))) return
  const running = inWork.get(template.content)
  if (running) return running
  const work = bakeNow(template, oven).finally(() => inWork.delete(template.content))
  inWork.set(template.content, work)
  await work
}

async function bakeNow(template: Template, { directory, memoryBytes, user, launch }: Oven): Promise<void> {
  const into = join(template.directory, `${folder}.new`)
  rmSync(into, { recursive: true, force: true })
  mkdirSync(into, { mode: 0o700 })
  const memory = join(directory, bakedRam)
  writeFileSync(memory, '', { mode: 0o600, flag: 'wx' })
  truncateSync(memory, memoryBytes)
  if (user) chownSync(memory, user.uid, user.gid)
  const identity = await launch()
  try {
    const qmp = await connected(join(directory, machineFiles.qmp), identity)
    await loadRam(qmp, directory, join(template.directory, 'ram'))
    await withoutMemory(qmp, true)
    await saveRam(qmp, directory, join(into, 'devices'), user)
    qmp.close()
  } finally {
    await killAndWait(identity)
  }
  await copyDisk(memory, join(into, 'memory'))
  rmSync(memory)
  renameSync(into, join(template.directory, folder))
}

async function connected(path: string, identity: ProcessIdentity): Promise<Qmp> {
  const handlers = { onEvent: () => {}, onClose: () => {} }
  for (;;) {
    try {
      return await withSocketPath(path, (short) => openQmp(short, handlers))
    } catch (error) {
      if (!isAlive(identity)) throw new Error('QEMU ended while it loaded a template', { cause: error })
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
}
