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
    const body = bodyOf(head, received.subarray(headEnd + 4))
    if (!body) return
    received = received.subarray(headEnd + 4 + body.size)
    const asked = waiting
    waiting = undefined
    if (Number(head.slice(9, 12)) < 300) asked?.resolve(body.text)
    else asked?.reject(new Error(`${head.split('\r\n', 1)[0]} ${body.text.slice(0, 200)}`))
  })
  return (method, path, body = '') =>
    new Promise((resolve, reject) => {
      waiting = { resolve, reject }
      const length = body ? `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` : ''
      socket.write(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nAccept: application/json\r\n${length}\r\n${body}`)
    })
}

/** `size` is what it takes on the wire. undefined: not all of it is there yet. */
function bodyOf(head: string, after: Buffer): { text: string; size: number } | undefined {
  const length = /content-length: (\d+)/i.exec(head)?.[1]
  if (length !== undefined) {
    const size = Number(length)
    return after.length < size ? undefined : { text: after.toString('utf8', 0, size), size }
  }
  const { parts, size, isLast } = chunksIn(after)
  return isLast ? { text: Buffer.concat(parts).toString(), size } : undefined
}

/** The whole chunks of HTTP's chunked encoding at the beginning of `bytes`; `size` is what they take on the wire. */
export function chunksIn(bytes: Buffer): { parts: Buffer[]; size: number; isLast: boolean } {
  const parts: Buffer[] = []
  for (let size = 0; ; ) {
    const lineEnd = bytes.indexOf('\r\n', size)
    const length = Number.parseInt(bytes.toString('latin1', size, Math.max(lineEnd, size)), 16)
    const next = lineEnd + 2 + length + 2
    if (lineEnd < 0 || bytes.length < next) return { parts, size, isLast: false }
    if (length === 0) return { parts, size: next, isLast: true }
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + length))
    size = next
  }
}
