import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { test } from 'node:test'
import { acceptWebSocket, offeredProtocols } from './websocket.ts'

/** The status of the answer, and the protocol that it names. */
async function handshake(offered: string, chosen: string): Promise<[number, string | undefined]> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  server.on('upgrade', async (incoming, socket: Duplex, head) => {
    assert.deepEqual(offeredProtocols(incoming), offered ? [offered] : [])
    const websocket = await acceptWebSocket(incoming, socket, head, chosen)
    websocket.terminate()
  })
  const asking = request({
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      ...(offered && { 'sec-websocket-protocol': offered }),
    },
  }).end()
  try {
    const [answer] = (await Promise.race([once(asking, 'upgrade'), once(asking, 'response')])) as [any]
    answer.destroy()
    return [answer.statusCode, answer.headers['sec-websocket-protocol']]
  } finally {
    asking.destroy()
    server.close()
  }
}

test('the protocol that was chosen is in the answer, also one that is no token', async () => {
  const tunnel = 'SPDY/3.1+portforward.k8s.io'
  assert.deepEqual(await handshake(tunnel, tunnel), [101, tunnel])
  assert.deepEqual(await handshake('v5.channel.k8s.io', 'v5.channel.k8s.io'), [101, 'v5.channel.k8s.io'])
  assert.deepEqual(await handshake('', ''), [101, undefined])
})
