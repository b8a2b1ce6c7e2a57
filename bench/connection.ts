// One kept-alive HTTP/1.1 connection with one request under way: as little client as can be, because it shares the machine
// with the server that it measures.

import type { Socket } from 'node:net'

export type Ask = (method: string, path: string, body?: string) => Promise<string>

export function createAsk(socket: Socket, host: string): Ask {
  let waiting: { resolve(text: string): void; reject(error: Error): void } | undefined
  let received: Buffer = Buffer.alloc(0)

  function fail(error: Error): void {
    waiting?.reject(error)
    waiting = undefined
  }

  socket.on('error', fail)
  socket.on('close', () => fail(new Error('the connection ended')))
  socket.on('data', (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    const headEnd = received.indexOf('\r\n\r\n')
    if (headEnd < 0) return
    const head = received.toString('latin1', 0, headEnd)
    const length = /content-length: (\d+)/i.exec(head)?.[1]
    if (length === undefined) return fail(new Error(`an answer without a length: ${head}`))
    const end = headEnd + 4 + Number(length)
    if (received.length < end) return
    const text = received.toString('utf8', headEnd + 4, end)
    received = received.subarray(end)
    const asked = waiting
    waiting = undefined
    if (Number(head.slice(9, 12)) < 300) asked?.resolve(text)
    else asked?.reject(new Error(`${head.split('\r\n', 1)[0]} ${text.slice(0, 200)}`))
  })
  return (method, path, body = '') =>
    new Promise((resolve, reject) => {
      waiting = { resolve, reject }
      const length = body ? `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` : ''
      socket.write(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nAccept: application/json\r\n${length}\r\n${body}`)
    })
}
