// Joins the streaming server of the container runtime: the URL that Exec, Attach or PortForward answered, upgraded to
// SPDY/3.1. (containerd's WebSocket server knows no way to close stdin: reference containerd 1.6 pkg/cri/streaming.)

import { createSpdySession, type SpdySession } from '../../wire/spdy.ts'

// Not imported: an import of node:http loads everything it can give, undici among it, 4 MB and a tenth of the start.
const { request } = process.getBuiltinModule('node:http')

const timeoutMs = 30_000

export function openRuntimeStream(url: string, protocol: string): Promise<SpdySession> {
  return new Promise((resolve, reject) => {
    const asked = request(url, {
      method: 'POST',
      agent: false,
      timeout: timeoutMs,
      headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': protocol },
    })
    asked.once('upgrade', (_response, socket, head) => {
      socket.setTimeout(0)
      socket.setNoDelay(true)
      resolve(createSpdySession(socket, { role: 'client', head }))
    })
    asked.once('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text = (text + chunk).slice(0, 2048)
      })
      response.on('end', () =>
        reject(new Error(`the container runtime refused the stream: ${response.statusCode} ${text}`)),
      )
    })
    asked.once('timeout', () => asked.destroy(new Error('the container runtime did not open the stream in time')))
    asked.once('error', reject)
    asked.end()
  })
}
