// Small Services at once, large ones at a measured pace.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPace } from './endpoint-pace.ts'

test('a large Service waits after it was worked on, a small one never', () => {
  let now = 0
  const pace = createPace({ now: () => now })
  pace.worked('a/small', 99)
  assert.equal(pace.tooSoon('a/small'), undefined)
  pace.worked('a/large', 10_000)
  assert.deepEqual(pace.tooSoon('a/large'), { requeueAfter: 1000 })
  now = 999
  assert.deepEqual(pace.tooSoon('a/large'), { requeueAfter: 1 })
  now = 1000
  assert.equal(pace.tooSoon('a/large'), undefined)
  pace.worked('a/large', 10_000)
  pace.forget('a/large')
  assert.equal(pace.tooSoon('a/large'), undefined)
})
