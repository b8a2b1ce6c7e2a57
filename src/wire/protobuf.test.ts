// Messages by table: round trips, the wire's own bytes, and hostile input.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decode, decodeSparse, encode, type Message, message } from './protobuf.ts'

const Inner = message({ name: [1, 'string'], at: [2, 'bigint64'] })
const Outer = message({
  id: [1, 'string'],
  count: [2, 'int64'],
  on: [3, 'bool'],
  inner: [4, Inner],
  inners: [5, Inner, 'list'],
  labels: [6, 'string', 'map'],
  groups: [7, 'int64', 'list'],
  data: [8, 'bytes'],
  share: [9, 'double'],
  byName: [10, Inner, 'map'],
})

test('what is written is read back', () => {
  const value = {
    id: 'ä',
    count: -5,
    on: true,
    inner: { name: 'x', at: 1763830000123456789n },
    inners: [
      { name: 'a', at: 1n },
      { name: 'b', at: -1n },
    ],
    labels: { app: 'web', empty: '' },
    groups: [0, 1000, 2 ** 40],
    data: new Uint8Array([0, 255]),
    share: 0.25,
    byName: { one: { name: 'one', at: 0n } },
  }
  assert.deepEqual(decode(Outer, encode(Outer, value)), value)
})

test('bytes are those of the wire format', () => {
  assert.equal(Buffer.from(encode(Outer, { id: 'ab', count: 300 })).toString('hex'), '0a02616210ac02')
  // Field 7 packed, as proto3 senders write it: 3, 270, 86942.
  assert.deepEqual(decode(Outer, Buffer.from('3a06038e029ea705', 'hex')).groups, [3, 270, 86942])
})

test('absent fields have zero values, or stay absent when asked', () => {
  const empty = decode(Outer, new Uint8Array())
  assert.equal(empty.id, '')
  assert.deepEqual(empty.groups, [])
  assert.equal(empty.inner, undefined)
  assert.deepEqual(decodeSparse(Outer, new Uint8Array()), {})
  assert.deepEqual(decodeSparse(Outer, encode(Outer, { on: false })), { on: false })
})

test('unknown fields are passed over', () => {
  const wide = message({ id: [1, 'string'], extra: [99, Inner], more: [98, 'double'] })
  const bytes = encode(wide, { id: 'x', extra: { name: 'y' }, more: 1 })
  assert.equal(decode(Outer, bytes).id, 'x')
})

test('hostile bytes end in an error or in plain data', () => {
  assert.throws(() => decode(Outer, Buffer.from('22ff7f', 'hex')), RangeError)
  assert.throws(() => decode(Outer, Buffer.from('0aff', 'hex')))
  const nested: Message = message({ child: [1, () => nested] })
  let deep: Uint8Array = new Uint8Array()
  for (let level = 0; level < 150; level++) {
    const writer: Message = message({ child: [1, 'bytes'] })
    deep = encode(writer, { child: deep })
  }
  assert.throws(() => decode(nested, deep), /nested deeper/)
  const map = decode(Outer, encode(Outer, { labels: JSON.parse('{"__proto__":"evil"}') }))
  assert.equal(Object.getPrototypeOf(map.labels), Object.prototype)
  assert.deepEqual(Object.keys(map.labels), ['__proto__'])
})
