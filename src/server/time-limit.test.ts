// How long a request may take.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { timeLimit } from './incoming.ts'

test('a client may ask for less time, never for more', () => {
  const limit = (query: string) => timeLimit({ query: new URLSearchParams(query) })
  assert.deepEqual(['', 'timeout=', 'timeout=0s', 'timeout=5m'].map(limit), Array(4).fill(60_000))
  assert.deepEqual(['timeout=1500ms', 'timeout=2s'].map(limit), [1500, 2000])
  for (const wrong of ['timeout=soon', 'timeout=-1s'])
    assert.throws(() => limit(wrong), /invalid timeout specified in the request URL/)
})
