// Channel messages, byte by byte as they were seen on the wire.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type ChannelMessage,
  exitReport,
  formatChannelMessage,
  parseChannelMessage,
  parseExitReport,
} from './channels.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const text = (value: string) => new TextEncoder().encode(value)

const table: [ChannelMessage, string][] = [
  [{ channel: 'stdin', data: text('hi') }, '006869'],
  [{ channel: 'stdout', data: text('') }, '01'],
  [{ channel: 'stderr', data: text('!') }, '0221'],
  [{ channel: 'close', of: 0 }, 'ff00'],
  [{ channel: 'resize', width: 80, height: 24 }, `04${Buffer.from('{"Width":80,"Height":24}').toString('hex')}`],
]

for (const [message, bytes] of table) {
  test(`${message.channel} both ways`, () => {
    assert.equal(hex(formatChannelMessage(message)), bytes)
    const parsed = parseChannelMessage(Buffer.from(bytes, 'hex'))
    assert.deepEqual(
      'data' in parsed ? { ...parsed, data: hex(parsed.data) } : parsed,
      'data' in message ? { ...message, data: hex(message.data) } : message,
    )
  })
}

test('an unknown channel is refused', () => {
  assert.throws(() => parseChannelMessage(Uint8Array.of(9, 1)), RangeError)
  assert.throws(() => parseChannelMessage(new Uint8Array()), RangeError)
})

test('exit codes travel as a Status', () => {
  for (const exit of [
    { kind: 'exited', code: 0 },
    { kind: 'exited', code: 3 },
    { kind: 'failed', message: 'no such file' },
  ] as const)
    assert.deepEqual(parseExitReport(JSON.stringify(exitReport(exit))), exit)
  assert.deepEqual(parseExitReport('plain words'), { kind: 'failed', message: 'plain words' })
})
