// KubeVirt's plain streams (console, vnc, portforward of a VM): raw bytes in binary messages, subprotocol
// plain.kubevirt.io (kubevirt pkg/virt-api/rest/streamer.go 1.9).

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ByteChannel } from '../../api/streams.ts'
import { acceptWebSocket, messages, offeredProtocols, send } from './websocket.ts'

export const plainProtocol = 'plain.kubevirt.io'

export async function rawOverWebSocket(
  { request, socket, head }: { request: IncomingMessage; socket: Duplex; head: Buffer },
  open: () => Promise<ByteChannel>,
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
    websocket.close()
  })()
  await Promise.allSettled([up, down])
  channel.close()
  websocket.close()
}
