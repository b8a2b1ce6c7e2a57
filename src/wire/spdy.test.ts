// Two SPDY sessions talk to each other without a port; the dictionary and frames are checked against known bytes.

import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { test } from 'node:test'
import { constants, inflateSync } from 'node:zlib'
import { createSpdySession, type SpdyStream } from './spdy.ts'
import { formatFrame, frameParser } from './spdy-frames.ts'
import { dictionary, headerCompressor, headerDecompressor, unpackHeaders } from './spdy-headers.ts'

function pair(onStream: (stream: SpdyStream) => void) {
  const [left, right] = duplexPair()
  return {
    client: createSpdySession(left, { role: 'client' }),
    server: createSpdySession(right, { role: 'server', onStream }),
    left,
    right,
  }
}

test('the dictionary is the one of SPDY/3', () => {
  assert.equal(dictionary.length, 1423)
  // Adler-32, as the zlib header of every SPDY/3 connection carries it.
  let a = 1
  let b = 0
  for (const byte of dictionary) {
    a = (a + byte) % 65521
    b = (b + a) % 65521
  }
  assert.equal(((b << 16) | a) >>> 0, 0xe3c6a7c2)
})

test('header blocks are one continuous zlib stream, as another zlib reads it', () => {
  const compress = headerCompressor()
  const blocks = Array.from({ length: 30 }, (_, index) =>
    compress({ streamtype: 'data', port: '80', requestid: `${index}` }),
  )
  const plain = inflateSync(Buffer.concat(blocks), { dictionary, finishFlush: constants.Z_SYNC_FLUSH })
  assert.equal(plain.toString('latin1').split('requestid').length, 31)
  assert.ok(blocks[20]!.length < 40, 'later blocks refer to earlier ones')
  const decompress = headerDecompressor()
  for (const [index, block] of blocks.entries()) assert.equal(decompress(block).requestid, `${index}`)
})

test('a header block that unpacks to too much is refused', () => {
  const compress = headerCompressor()
  assert.throws(() => headerDecompressor()(compress({ name: 'x'.repeat(100_000) })))
  assert.throws(() => unpackHeaders(Buffer.from('00000001000000ff', 'hex')), RangeError)
})

test('frames survive any cut', () => {
  const bytes = Buffer.concat([
    formatFrame({ type: 'syn-stream', stream: 1, fin: false, headers: Buffer.from('h') }),
    formatFrame({ type: 'data', stream: 1, fin: true, data: Buffer.from('hello') }),
    formatFrame({ type: 'goaway', last: 1, status: 0 }),
  ])
  const parse = frameParser()
  const frames = [...bytes].flatMap((byte) => parse(Uint8Array.of(byte)))
  assert.deepEqual(
    frames.map((frame) => frame.type),
    ['syn-stream', 'data', 'goaway'],
  )
  assert.throws(() => frameParser()(Buffer.from('GET / HTTP/1.1\r\n')), RangeError)
})

test('echo: headers, half-close and four megabytes', async () => {
  const { client } = pair((stream) => {
    assert.equal(stream.headers.streamtype, 'data')
    stream.pipe(stream)
  })
  const stream = await client.open({ streamtype: 'data' })
  const sent = Buffer.alloc(4 * 1024 * 1024, 'tandem ')
  stream.end(sent)
  assert.ok(sent.equals(await buffer(stream)))
  client.close()
  await client.closed
})

test('streams of one connection do not mix', async () => {
  const { client } = pair((stream) => stream.end(`you are ${stream.headers.who}`))
  const streams = await Promise.all(['a', 'b', 'c'].map((who) => client.open({ who })))
  for (const stream of streams) stream.end()
  assert.deepEqual(await Promise.all(streams.map((stream) => text(stream))), ['you are a', 'you are b', 'you are c'])
})

test('a refused stream fails alone; a lost connection fails all', async () => {
  const { client, right } = pair((stream) => {
    if (stream.headers.bad) stream.destroy()
  })
  const good = await client.open({})
  const bad = await client.open({ bad: '1' })
  await assert.rejects(text(bad))
  assert.equal(good.destroyed, false)
  right.destroy()
  await client.closed
  await assert.rejects(client.open({}), /closed/)
})

test('a slow reader stops the sender instead of filling memory', async () => {
  const held: SpdyStream[] = []
  const { client } = pair((stream) => held.push(stream))
  const stream = await client.open({})
  let written = 0
  const chunk = Buffer.alloc(64 * 1024)
  while (stream.write(chunk) && written < 100e6) {
    written += chunk.length
    await new Promise(setImmediate)
  }
  assert.ok(written < 8e6, `stopped after ${written} bytes`)
  client.destroy()
  held[0]!.resume()
})

test('pings of the other side are answered', async () => {
  const [left, right] = duplexPair()
  createSpdySession(left, { role: 'server' })
  right.write(formatFrame({ type: 'ping', id: 7 }))
  const [chunk] = (await right.take(1).toArray()) as Buffer[]
  assert.deepEqual(frameParser()(chunk!), [{ type: 'ping', id: 7 }])
})

test('reading to the end does not cut the answer', async () => {
  const { client } = pair((stream) => {
    void (async () => {
      const chunks: Buffer[] = []
      for await (const chunk of stream) chunks.push(chunk as Buffer)
      await new Promise(setImmediate)
      stream.end(`got ${Buffer.concat(chunks)}`)
    })()
  })
  const stream = await client.open({})
  stream.end('question')
  assert.equal(await text(stream), 'got question')
  await new Promise((resolve) => (stream.closed ? resolve(0) : stream.once('close', resolve)))
})

test('what came before a reset is still read', async () => {
  const { client } = pair((stream) => stream.write('last words', () => stream.destroy()))
  const stream = await client.open({})
  await new Promise(setImmediate)
  let heard = ''
  await assert.rejects(async () => {
    for await (const chunk of stream) heard += chunk
  }, /reset/)
  assert.equal(heard, 'last words')
})
