// The gRPC client against a server of HTTP/2 frames in the same process, over a pair of streams.

import assert from 'node:assert/strict'
import { performServerHandshake, type ServerHttp2Stream } from 'node:http2'
import { type Duplex, duplexPair } from 'node:stream'
import { test } from 'node:test'
import { createGrpcClient, status } from './grpc.ts'

type Serve = (stream: ServerHttp2Stream, headers: Record<string, unknown>, message: string) => void

/** A client whose server treats each call with `serve`; `sides` are its ends of the connections so far. */
function pair(serve: Serve) {
  const sides: Duplex[] = []
  const client = createGrpcClient(() => {
    const [near, far] = duplexPair()
    sides.push(near)
    performServerHandshake(far).on('stream', (stream, headers) => {
      stream.on('error', () => {})
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => serve(stream, headers, Buffer.concat(chunks).subarray(5).toString()))
    })
    return near
  })
  return { client, sides }
}

const frame = (text: string) => {
  const body = Buffer.from(text)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(body.length, 1)
  return Buffer.concat([head, body])
}

function answer(stream: ServerHttp2Stream, frames: Buffer[], trailers: Record<string, string>): void {
  // The client may have gone meanwhile.
  if (stream.destroyed) return
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers(trailers))
  for (const bytes of frames) stream.write(bytes)
  stream.end()
}

const call = (path: string, text = '') => ({ path, message: Buffer.from(text) })

test('a unary call sends its message and deadline and gets the answer, in however many pieces it comes', async () => {
  const { client, sides } = pair((stream, headers, message) => {
    const whole = frame(`${headers[':path']} ${headers['grpc-timeout']} ${message}`)
    answer(stream, [whole.subarray(0, 3), whole.subarray(3, 9), whole.subarray(9)], { 'grpc-status': '0' })
  })
  const results = await Promise.all(['a', 'b'].map((text) => client.unary({ ...call('/s/M', text), deadlineMs: 5000 })))
  assert.deepEqual(
    results.map((bytes) => Buffer.from(bytes).toString()),
    ['/s/M 5000m a', '/s/M 5000m b'],
  )
  assert.equal(sides.length, 1)
  client.close()
})

test('a refusal has the code and the decoded words of the server', async () => {
  const { client } = pair((stream) =>
    answer(stream, [], { 'grpc-status': '5', 'grpc-message': 'container %22x%22 not found' }),
  )
  await assert.rejects(client.unary({ ...call('/s/M'), deadlineMs: 5000 }), {
    code: status.NOT_FOUND,
    message: 'container "x" not found',
  })
  client.close()
})

test('no answer in time is DEADLINE_EXCEEDED, and the server hears that nobody waits', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const cancelled = Promise.withResolvers<void>()
  const { client } = pair((stream) => {
    stream.on('close', cancelled.resolve)
    t.mock.timers.tick(5000)
  })
  await assert.rejects(client.unary({ ...call('/s/M'), deadlineMs: 5000 }), { code: status.DEADLINE_EXCEEDED })
  await cancelled.promise
  client.close()
})

test('a lost connection is UNAVAILABLE, and the next call makes a new one', async () => {
  let calls = 0
  const { client, sides } = pair((stream) => {
    if (++calls === 1) sides[0]!.destroy()
    else answer(stream, [frame('again')], { 'grpc-status': '0' })
  })
  await assert.rejects(client.unary({ ...call('/s/M'), deadlineMs: 5000 }), { code: status.UNAVAILABLE })
  assert.equal(Buffer.from(await client.unary({ ...call('/s/M'), deadlineMs: 5000 })).toString(), 'again')
  client.close()
})

test('a stream tells every message and its end; one that was ended tells nothing more', async () => {
  const { client } = pair((stream) => answer(stream, [frame('1'), frame('2')], { 'grpc-status': '14' }))
  const seen: string[] = []
  const ended = await new Promise((resolve) =>
    client.stream(call('/s/Watch'), (message) => seen.push(Buffer.from(message).toString()), resolve),
  )
  assert.deepEqual(seen, ['1', '2'])
  assert.equal((ended as { code: number }).code, status.UNAVAILABLE)
  const stop = client.stream(
    call('/s/Watch'),
    () => assert.fail(),
    () => assert.fail(),
  )
  stop()
  client.close()
})

test('messages without a byte, and several in one piece, come one by one', async () => {
  const { client } = pair((stream) =>
    answer(stream, [Buffer.concat([frame(''), frame('1'), frame('')])], { 'grpc-status': '0' }),
  )
  const seen: string[] = []
  await new Promise((resolve) =>
    client.stream(call('/s/Watch'), (message) => seen.push(Buffer.from(message).toString()), resolve),
  )
  assert.deepEqual(seen, ['', '1', ''])
  client.close()
})

test('a message that is too large or compressed is refused', async () => {
  const { client } = pair((stream) => answer(stream, [Buffer.from([1, 0, 0, 0, 1, 7])], { 'grpc-status': '0' }))
  await assert.rejects(client.unary({ ...call('/s/M'), deadlineMs: 5000 }), { code: status.RESOURCE_EXHAUSTED })
  client.close()
})
