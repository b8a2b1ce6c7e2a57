// One Tandem for each state directory. An abstract socket is the lock: it is gone with the process, however that ends.

import { createServer, type Server } from 'node:net'

/** @throws Error when another process holds it. */
export function holdLock(instance: string, stateDir: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const lock = createServer((socket) => socket.destroy())
    lock.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE' ? new Error(`another Tandem runs with ${stateDir}: see 'tandem status'`) : error,
      ),
    )
    lock.listen(`\0tandem-${instance}`, () => {
      lock.unref()
      resolve(lock)
    })
  })
}
