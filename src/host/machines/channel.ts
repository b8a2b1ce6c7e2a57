// A socket, and anything else that gives and takes bytes, as the two-way channel that the API server pipes to a client.

import { createSocket } from 'node:dgram'
import { createConnection, type Socket } from 'node:net'
import type { ByteChannel } from '../../api/streams.ts'

export function connectTcp(host: string, port: number, timeoutMs = 10_000): Promise<ByteChannel> {
  return connected(createConnection({ host, port, allowHalfOpen: true, timeout: timeoutMs }))
}

export function connectUnix(path: string): Promise<ByteChannel> {
  return connected(createConnection({ path, allowHalfOpen: true }))
}

function connected(socket: Socket): Promise<ByteChannel> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      socket.destroy()
      reject(error)
    }
    socket.once('error', fail)
    socket.once('timeout', () => fail(new Error('the connection was not answered in time')))
    socket.once('connect', () => {
      socket.setTimeout(0)
      socket.off('error', fail)
      socket.on('error', () => socket.destroy())
      resolve(socketChannel(socket))
    })
  })
}

export function socketChannel(socket: Socket): ByteChannel {
  return {
    readable: readSocket(socket),
    write(chunk) {
      if (socket.destroyed || socket.writableEnded) return Promise.reject(new Error('the connection is closed'))
      return new Promise((resolve, reject) => socket.write(chunk, (error) => (error ? reject(error) : resolve())))
    },
    end: () => void socket.end(),
    close: () => void socket.destroy(),
  }
}

async function* readSocket(socket: Socket): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of socket) yield chunk as Buffer
  } catch {
    // A reset is an end: the other side sees the channel close.
  }
}

/** Bytes for one reader from a source that cannot wait: when the reader is too far behind, the channel ends. */
export interface Queue {
  push(chunk: Uint8Array): void
  end(): void
  readable: AsyncIterable<Uint8Array>
}

export function byteQueue(limit: number, onOverflow: () => void): Queue {
  let chunks: Uint8Array[] = []
  let size = 0
  let ended = false
  let wake: () => void = () => {}
  return {
    push(chunk) {
      if (ended) return
      size += chunk.length
      if (size > limit) {
        ended = true
        onOverflow()
      } else chunks.push(chunk)
      wake()
    },
    end() {
      ended = true
      wake()
    },
    readable: {
      async *[Symbol.asyncIterator]() {
        for (;;) {
          const ready = chunks
          chunks = []
          size = 0
          for (const chunk of ready) yield chunk
          if (chunks.length) continue
          if (ended) return
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
      },
    },
  }
}

/** One datagram for each chunk written, one chunk for each datagram that comes. */
export function connectUdp(host: string, port: number): Promise<ByteChannel> {
  const socket = createSocket('udp4')
  const close = () => {
    queue.end()
    try {
      socket.close()
    } catch {
      // It was closed already.
    }
  }
  const queue = byteQueue(1024 * 1024, close)
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.connect(port, host, () => {
      socket.off('error', reject)
      socket.on('error', close)
      socket.on('message', (message) => queue.push(message))
      resolve({
        readable: queue.readable,
        write: (chunk) => new Promise((done, fail) => socket.send(chunk, (error) => (error ? fail(error) : done()))),
        end: close,
        close,
      })
    })
  })
}
