import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttp1 } from 'node:http'
import { createServer as createHttp2, connect as openSession } from 'node:http2'
import { type AddressInfo, connect, type Server } from 'node:net'
import { test } from 'node:test'
import type { TakeUpload } from '../host/imports/uploads.ts'
import { uploadDoor } from './upload-door.ts'

const path = '/v1beta1/upload'
const authorization = 'Bearer abc'
const mebibyte = Buffer.alloc(1024 * 1024)
/** More than any buffer between the two holds. */
const mebibytes = 40

/** Refuses after the first piece, as a claim does that is too small. */
const refusing: TakeUpload = async ({ body }) => {
  for await (const _ of body!) return { status: 400, text: 'too large' }
  return { status: 200 }
}

const door = uploadDoor({
  tokens: { verify: async () => ({ namespace: 'default', claim: 'disk' }) } as never,
  take: () => refusing,
})

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

interface Outlet {
  write(chunk: Buffer): boolean
  end(): void
  once(event: 'drain', then: () => void): unknown
}

async function sendAll(to: Outlet): Promise<void> {
  for (let n = 0; n < mebibytes; n++) if (!to.write(mebibyte)) await new Promise<void>((next) => to.once('drain', next))
  to.end()
}

test('an upload that is refused in its middle is answered: HTTP/1.1', async () => {
  const server = createHttp1(door)
  // Node's own client forgets its body when the answer comes early.
  const socket = connect(await listening(server), '127.0.0.1')
  const length = mebibytes * mebibyte.length
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\ncontent-length: ${length}\r\n\r\n`,
  )
  const [[answer]] = await Promise.all([once(socket, 'data'), sendAll(socket)])
  assert.match(String(answer), /^HTTP\/1.1 400 /)
  socket.destroy()
  server.close()
})

test('an upload that is refused in its middle is answered: HTTP/2', async () => {
  const server = createHttp2((request, response) => void door(request, response as never))
  const session = openSession(`http://127.0.0.1:${await listening(server)}`)
  const request = session.request({ ':path': path, ':method': 'POST', authorization })
  const [[headers]] = await Promise.all([once(request, 'response'), sendAll(request)])
  assert.equal(headers[':status'], 400)
  request.resume()
  await once(request, 'end')
  session.close()
  server.close()
})
