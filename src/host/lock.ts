// What only one process of this machine may hold. An abstract socket is the lock: it is gone with the process, however
// that ends.

import { createServer, type Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** One Tandem for each state directory. @throws Error when another process holds it. */
export async function holdLock(instance: string, stateDir: string): Promise<Server> {
  const lock = await tryLock(`tandem-${instance}`)
  if (!lock) throw new Error(`another Tandem runs with ${stateDir}: see 'tandem status'`)
  return lock
}

/** undefined: another process holds it. */
export function tryLock(name: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const lock = createServer((socket) => socket.destroy())
    lock.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    )
    lock.listen(`\0${name}`, () => {
      lock.unref()
      resolve(lock)
    })
  })
}

const lookAgainMs = 200

/** Resolves when nobody else holds it. */
export async function waitForLock(name: string): Promise<Server> {
  for (;;) {
    const lock = await tryLock(name)
    if (lock) return lock
    await sleep(lookAgainMs)
  }
}
