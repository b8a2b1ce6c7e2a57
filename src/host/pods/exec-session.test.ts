import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { createSpdySession } from '../../wire/spdy.ts'
import { openSession } from './exec-session.ts'

/** A runtime whose container ends while it is attached: each stream is reset as soon as it was accepted. */
function runtimeOfEnded(): Promise<{ url: string; close(): void }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.once('data', () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n')
      createSpdySession(socket, { role: 'server', onStream: (stream) => stream.destroy() })
    })
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      const close = () => {
        server.close()
        for (const socket of sockets) socket.destroy()
      }
      resolve({ url: `http://127.0.0.1:${port}/attach`, close })
    })
  })
}

test('a session whose streams ended before the last was open ends', async () => {
  const runtime = await runtimeOfEnded()
  try {
    const session = await openSession(runtime.url, { stdin: true, stdout: true, stderr: true, tty: false })
    for await (const _ of session.stdout!) assert.fail('nothing was said')
    assert.deepEqual(await session.exit, { kind: 'failed', message: 'the connection to the container was lost' })
  } finally {
    runtime.close()
  }
})
