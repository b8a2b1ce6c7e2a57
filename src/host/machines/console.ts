// One serial console, many readers: QEMU's console socket takes a single connection, which is held here and shared. Bytes
// that came before a client connected are in serial.log, not in its stream (KubeVirt does the same).

import { createConnection, type Socket } from 'node:net'
import type { ByteChannel } from '../../api/streams.ts'
import { byteQueue, type Queue } from './channel.ts'
import { withSocketPath } from './socket-path.ts'

/** A client this far behind is let go, so that it cannot hold the others back. */
const clientLimit = 1024 * 1024

export interface Console {
  open(): ByteChannel
  /** The clients hear the console at that path too; `follow` ends the former one, `stay` this one. */
  alsoAt(path: string): Promise<{ follow(): void; stay(): void }>
  close(): void
}

/** @throws Error when nobody listens there. */
export async function openConsole(path: string, onClose: () => void): Promise<Console> {
  let current = await withSocketPath(path, connect)
  const clients = new Set<Queue>()
  const listen = (socket: Socket) => {
    socket.on('data', (chunk: Buffer) => {
      for (const client of clients) client.push(chunk)
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      if (socket !== current) return
      for (const client of clients) client.end()
      clients.clear()
      onClose()
    })
  }
  listen(current)
  return {
    open() {
      const leave = () => {
        clients.delete(queue)
        queue.end()
      }
      const queue = byteQueue(clientLimit, () => clients.delete(queue))
      clients.add(queue)
      return {
        readable: queue.readable,
        write: (chunk) => write(current, chunk),
        // The guest's console has no end of input: the client goes on reading.
        end: () => {},
        close: leave,
      }
    },
    async alsoAt(path) {
      const other = await withSocketPath(path, connect)
      listen(other)
      return {
        follow() {
          const former = current
          current = other
          former.destroy()
        },
        stay: () => void other.destroy(),
      }
    },
    close: () => void current.destroy(),
  }
}

function connect(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}

function write(socket: Socket, chunk: Uint8Array): Promise<void> {
  if (socket.destroyed) return Promise.reject(new Error('the machine is not running any more'))
  return new Promise((resolve, reject) => socket.write(chunk, (error) => (error ? reject(error) : resolve())))
}
