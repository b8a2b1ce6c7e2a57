// port-forward: SPDY streams, two for each TCP connection ("error" then "data"), over a raw upgrade or inside the binary
// messages of a WebSocket, which is what kubectl 1.31 and newer does (subprotocol SPDY/3.1+portforward.k8s.io).

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { createWebSocketStream } from 'ws'
import type { ByteChannel } from '../../api/streams.ts'
import { createSpdySession, type SpdyStream } from '../../wire/spdy.ts'
import { acceptSpdy } from './spdy-upgrade.ts'
import { acceptWebSocket } from './websocket.ts'

export const tunnelProtocol = 'SPDY/3.1+portforward.k8s.io'
const spdyProtocol = 'portforward.k8s.io'

type Connect = (port: number) => Promise<ByteChannel>

interface Upgrade {
  request: IncomingMessage
  socket: Duplex
  head: Buffer
}

export async function portForwardOverWebSocket({ request, socket, head }: Upgrade, connect: Connect): Promise<void> {
  const websocket = await acceptWebSocket(request, socket, head, tunnelProtocol)
  await forward(createWebSocketStream(websocket), Buffer.alloc(0), connect)
}

export async function portForwardOverSpdy({ request, socket, head }: Upgrade, connect: Connect): Promise<void> {
  acceptSpdy(request, socket, [spdyProtocol])
  await forward(socket, head, connect)
}

async function forward(transport: Duplex, head: Uint8Array, connect: Connect): Promise<void> {
  /** Error streams that wait for their data stream, by request. */
  const errors = new Map<string, SpdyStream>()
  const session = createSpdySession(transport, {
    role: 'server',
    head,
    onStream(stream) {
      stream.on('error', () => {})
      const id = stream.headers.requestid ?? ''
      if (stream.headers.streamtype === 'error') {
        errors.set(id, stream)
        return
      }
      const error = errors.get(id)
      errors.delete(id)
      void forwardOne(stream, error, connect)
    },
  })
  await session.closed
}

async function forwardOne(data: SpdyStream, error: SpdyStream | undefined, connect: Connect): Promise<void> {
  const port = Number(data.headers.port)
  let connection: ByteChannel
  try {
    if (!Number.isInteger(port) || port < 1 || port > 65535) throw new Error(`"${data.headers.port}" is not a port`)
    connection = await connect(port)
  } catch (problem) {
    const text = problem instanceof Error ? problem.message : String(problem)
    error?.end(`error forwarding port ${port} to pod: ${text}`)
    data.end()
    return
  }
  error?.end()
  await join(data, connection)
}

function drained(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done)
      stream.off('close', done)
      resolve()
    }
    stream.once('drain', done)
    stream.once('close', done)
  })
}

/** Bytes both ways until both sides are done; half-closes pass through. */
export async function join(stream: Duplex, connection: ByteChannel): Promise<void> {
  stream.on('close', () => connection.close())
  const up = (async () => {
    for await (const chunk of stream) await connection.write(chunk as Uint8Array)
    connection.end()
  })()
  const down = (async () => {
    for await (const chunk of connection.readable) {
      if (stream.destroyed) return
      if (!stream.write(chunk)) await drained(stream)
    }
    stream.end()
  })()
  await Promise.allSettled([up, down])
  connection.close()
}
