// port-forward as older WebSocket clients know it: two channels for each port that the URL names, data and error, each
// opened by the server with the port's number (kubelet/pkg/cri/streaming/portforward/websocket.go, 1.36).

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { ApiError } from '../../api/errors.ts'
import type { ByteChannel } from '../../api/streams.ts'
import { type ChannelProtocol, decodeMessage, encodeMessage } from '../../wire/channel-protocols.ts'
import { acceptWebSocket, messages, send } from './websocket.ts'

/** @throws ApiError when the query names no port, or something that is none. */
export function portsOf(query: URLSearchParams): number[] {
  const ports = query.getAll('ports').flatMap((text) => text.split(','))
  if (ports.length === 0) throw new ApiError('BadRequest', 'query parameter "ports" is required')
  return ports.map((text) => {
    const port = Number(text)
    if (!/^\d+$/.test(text) || port < 1 || port > 65535)
      throw new ApiError('BadRequest', `invalid ports "${text}": must be a number between 1 and 65535`)
    return port
  })
}

function onChannel(channel: number, data: Uint8Array): Uint8Array {
  const message = new Uint8Array(data.length + 1)
  message[0] = channel
  message.set(data, 1)
  return message
}

export async function portChannelsOverWebSocket(
  { request, socket, head }: { request: IncomingMessage; socket: Duplex; head: Buffer },
  protocol: ChannelProtocol,
  ports: number[],
  connect: (port: number) => Promise<ByteChannel>,
): Promise<void> {
  const websocket = await acceptWebSocket(request, socket, head, protocol.name)
  // What the client sends while its ports are being connected waits in the socket.
  websocket.pause()
  const tell = (channel: number, data: Uint8Array) => send(websocket, encodeMessage(protocol, onChannel(channel, data)))
  const connections = await Promise.all(
    ports.map(async (port, index) => {
      const number = Uint8Array.of(port & 0xff, port >> 8)
      await tell(index * 2, number)
      await tell(index * 2 + 1, number)
      try {
        return await connect(port)
      } catch (error) {
        const text = `error forwarding port ${port} to pod: ${(error as Error).message}`
        await tell(index * 2 + 1, new TextEncoder().encode(text))
        return undefined
      }
    }),
  )
  websocket.on('close', () => {
    for (const connection of connections) connection?.close()
  })
  const down = connections.map(async (connection, index) => {
    if (!connection) return
    for await (const chunk of connection.readable) if (!(await tell(index * 2, chunk))) return
  })
  void Promise.allSettled(down).then(() => websocket.close())
  await takeInput(websocket, protocol, connections)
  for (const connection of connections) connection?.close()
}

async function takeInput(
  websocket: WebSocket,
  protocol: ChannelProtocol,
  connections: (ByteChannel | undefined)[],
): Promise<void> {
  for await (const bytes of messages(websocket)) {
    const message = decodeMessage(protocol, bytes)
    const channel = message[0] ?? 1
    // Nothing is read from the error channels.
    if (channel % 2 === 0) await connections[channel / 2]?.write(message.subarray(1)).catch(() => {})
  }
}
