// Logs over a WebSocket: what GET …/log answers, message by message (apiserver/pkg/util/wsstream Reader, 1.36).

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { plainProtocols } from '../../wire/channel-protocols.ts'
import { acceptWebSocket, send } from './websocket.ts'

const normalClosure = 1000

export async function logOverWebSocket(
  { request, socket, head }: { request: IncomingMessage; socket: Duplex; head: Buffer },
  protocol: (typeof plainProtocols)[number],
  read: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
): Promise<void> {
  const ending = new AbortController()
  const lines = read(ending.signal)[Symbol.asyncIterator]()
  // Before the 101: a container without logs is an HTTP error.
  let next = await lines.next()
  const websocket = await acceptWebSocket(request, socket, head, protocol.name)
  websocket.on('close', () => ending.abort())
  const encoded = (chunk: Uint8Array) => (protocol.base64 ? Buffer.from(chunk).toString('base64') : chunk)
  try {
    while (!next.done && (await send(websocket, encoded(next.value)))) next = await lines.next()
  } finally {
    await lines.return?.()
    websocket.close(normalClosure)
  }
}
