// A guest's memory and devices to a file and back: QEMU's migration over a unix socket in the machine's directory, whose
// other end is Tandem. QEMU itself opens no file and starts no program for it (its sandbox forbids that).

import { createReadStream, createWriteStream, rmSync } from 'node:fs'
import { chown } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Owner } from './disk-files.ts'
import type { Qmp } from './qmp.ts'
import { withSocketPath } from './socket-path.ts'

const socketName = 'ram.sock'
/** Memory is written as fast as it can be: bytes a second. */
const noLimit = 2 ** 50
const longestPauseMs = 20

/** Saves a stopped guest. The file is on the disk when this returns. @throws Error with what QEMU or the disk said */
export async function saveRam(qmp: Qmp, directory: string, file: string, owner?: Owner): Promise<void> {
  const path = join(directory, socketName)
  rmSync(path, { force: true })
  const server = createServer()
  try {
    await withSocketPath(path, (short) => listening(server, short))
    if (owner) await chown(path, owner.uid, owner.gid)
    const arrived = accepted(server).then((socket) =>
      pipeline(socket, createWriteStream(file, { mode: 0o600, flags: 'wx', flush: true })),
    )
    arrived.catch(() => {})
    await qmp.execute('migrate-set-parameters', { 'max-bandwidth': noLimit })
    await qmp.execute('migrate', { uri: `unix:${socketName}` })
    await Promise.all([arrived, migrated(qmp)])
  } finally {
    server.close()
    rmSync(path, { force: true })
  }
}

/** Loads a guest into a QEMU that was started with `-incoming defer`; it is paused afterwards. */
export async function loadRam(qmp: Qmp, directory: string, file: string): Promise<void> {
  await qmp.execute('migrate-incoming', { uri: `unix:${socketName}` })
  const socket = await withSocketPath(join(directory, socketName), connected)
  await Promise.all([pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), socket), migrated(qmp)])
  rmSync(join(directory, socketName), { force: true })
}

const listening = (server: Server, path: string): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => resolve())
  })

const accepted = (server: Server): Promise<Socket> =>
  new Promise((resolve, reject) => {
    server.once('connection', resolve)
    server.once('close', () => reject(new Error('QEMU did not connect')))
  })

const connected = (path: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    // QEMU hangs up as soon as it has all, which can be before the file is seen to be at its end; that breaks nothing off.
    const socket = connect({ path, allowHalfOpen: true })
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
  })

async function migrated(qmp: Qmp): Promise<void> {
  // The state of devices alone is loaded in no time.
  for (let pause = 1; ; pause = Math.min(pause * 2, longestPauseMs)) {
    const { status, 'error-desc': problem } = await qmp.execute('query-migrate')
    if (status === 'completed') return
    if (status === 'failed' || status === 'cancelled') throw new Error(`QEMU: ${problem ?? `migration ${status}`}`)
    await new Promise((resolve) => setTimeout(resolve, pause))
  }
}
