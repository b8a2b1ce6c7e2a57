// KubeVirt's plain streams (console, vnc, portforward of a VM): raw bytes in binary messages, subprotocol
// plain.kubevirt.io (kubevirt pkg/virt-api/rest/streamer.go 1.9).

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { ByteChannel } from '../../api/streams.ts'
import { acceptWebSocket, messages, offeredProtocols, send } from './websocket.ts'

export const plainProtocol = 'plain.kubevirt.io'
const normalClosure = 1000

/**
 * A connection that the guest closes is over; a console or display that goes was lost: virtctl tells its user so when the
 * connection breaks without a word.
 */
export async function rawOverWebSocket(
  { request, socket, head }: { request: IncomingMessage; socket: Duplex; head: Buffer },
  open: () => Promise<ByteChannel>,
  end: 'closed' | 'lost' = 'lost',
): Promise<void> {
  const channel = await open()
  const protocol = offeredProtocols(request).includes(plainProtocol) ? plainProtocol : ''
  const websocket = await acceptWebSocket(request, socket, head, protocol)
  websocket.on('close', () => channel.close())
  const up = (async () => {
    for await (const message of messages(websocket)) await channel.write(message)
    channel.end()
  })()
  const down = (async () => {
    for await (const chunk of channel.readable) if (!(await send(websocket, chunk))) return
    if (end === 'closed') websocket.close(normalClosure)
    else await hangUp(websocket, socket)
  })()
  await Promise.allSettled([up, down])
  channel.close()
  websocket.close()
}

/** Everything that was sent arrives first. */
function hangUp(websocket: WebSocket, socket: Duplex): Promise<void> {
  return new Promise((resolve) =>
    socket.end(() => {
      websocket.terminate()
      resolve()
    }),
  )
}
