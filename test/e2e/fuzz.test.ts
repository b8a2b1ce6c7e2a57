// A short run of hostile requests (test/fuzz/fuzz.ts runs long ones): no crash, no 500, no polluted prototype, bounded
// memory. How long a turn of the event loop takes is measured by the long run, on a machine that does nothing else.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzz } from '../fuzz/fuzz.ts'

test('hostile requests change nothing and end nothing', async (t) => {
  const result = await fuzz(20, 20261122)
  t.diagnostic(JSON.stringify({ ...result, failures: result.failures.length }))
  assert.ok(result.requests > 100, `${result.requests} requests`)
  assert.deepEqual(
    result.failures.filter((line) => !line.startsWith('a turn of')),
    [],
  )
})
