import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError, alreadyExists } from '../api/errors.ts'
import { FakeClock } from '../base/clock.ts'
import { silentLogger } from '../base/log.ts'
import type { Client } from '../client/client.ts'
import { createNodeAgent, mergeConditions } from './node.ts'

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

test('a store that cannot write keeps no node from starting; it reports as soon as it can', async () => {
  const clock = new FakeClock()
  const written: string[] = []
  let isFull = true
  const client = {
    create: async () => Promise.reject(alreadyExists('nodes', 'one')),
    get: async () => ({ kind: 'Node', metadata: { name: 'one' } }),
    async patch(ref: { resource: string }) {
      if (isFull) throw new ApiError('ServiceUnavailable', 'the store cannot write')
      written.push(ref.resource)
    },
  } as unknown as Client
  const agent = createNodeAgent({
    client,
    clock,
    log: silentLogger,
    nodeName: 'one',
    stateDir: '/',
    podCidr: '10.0.0.0/24',
    version: 'v0',
    runtimeVersion: () => 'fake://0',
    conditions: () => [],
  })
  await agent.start()
  isFull = false
  await clock.advance(10_000)
  agent.stop()
  assert.deepEqual(written, ['leases', 'nodes'])
})
