// Which protocol is taken, and messages in each of them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeMessage, encodeMessage, execChannelProtocols, finalWords, negotiate } from './channel-protocols.ts'

const named = (name: string) => execChannelProtocols.find((protocol) => protocol.name === name)!

test('the newest that the client offers; none where it asks for none', () => {
  assert.equal(negotiate(execChannelProtocols, ['channel.k8s.io', 'v4.channel.k8s.io'])?.name, 'v4.channel.k8s.io')
  assert.equal(negotiate(execChannelProtocols, [])?.name, '')
  assert.equal(negotiate(execChannelProtocols, ['chat']), undefined)
})

test('base64 carries the channel as a digit, and comes back whole', () => {
  const protocol = named('base64.channel.k8s.io')
  const message = Uint8Array.of(1, 0xff, 0x00, 0x7f)
  assert.equal(encodeMessage(protocol, message), '1/wB/')
  assert.deepEqual([...decodeMessage(protocol, Buffer.from('1/wB/'))], [...message])
  assert.equal(encodeMessage(named('v4.channel.k8s.io'), message), message)
})

test('before version 4 success is silent and failure is said in words', () => {
  const old = named('channel.k8s.io')
  assert.equal(finalWords(old, { kind: 'exited', code: 0 }), '')
  assert.match(finalWords(old, { kind: 'exited', code: 3 }), /exit code 3/)
  assert.equal(JSON.parse(finalWords(named('v4.channel.k8s.io'), { kind: 'exited', code: 0 })).status, 'Success')
})
