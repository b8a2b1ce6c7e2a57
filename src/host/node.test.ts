import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mergeConditions } from './node.ts'

test('a condition keeps its transition time while its status stays', () => {
  const ready = { type: 'Ready', status: 'True' as const, reason: 'KubeletReady', message: 'ready' }
  const [first] = mergeConditions([], [ready], 0)
  assert.equal(first!.lastTransitionTime, '1970-01-01T00:00:00Z')
  const [second] = mergeConditions([first as never], [ready], 60_000)
  assert.equal(second!.lastTransitionTime, '1970-01-01T00:00:00Z')
  assert.equal(second!.lastHeartbeatTime, '1970-01-01T00:01:00Z')
  const [third] = mergeConditions([second as never], [{ ...ready, status: 'False' }], 120_000)
  assert.equal(third!.lastTransitionTime, '1970-01-01T00:02:00Z')
})
