// The scheduler at work: an important Pod takes the place of others, and nobody takes it from under its nose.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiObject } from '../api/meta.ts'
import { nodeName, startTestPlatform } from './platform.fixture.ts'
import { pods, priorityClasses } from './resources.ts'

const pod = (name: string, cpu: string, priorityClassName?: string, more: object = {}): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default' },
  spec: {
    containers: [{ name: 'c', image: 'i', resources: { requests: { cpu } } }],
    ...(priorityClassName && { priorityClassName }),
    ...more,
  },
})

const running = (object: ApiObject | undefined) => object?.status?.phase === 'Running'

async function platformWithClasses() {
  const platform = await startTestPlatform({ allocatable: { cpu: '1', memory: '1Gi', pods: '10' } })
  for (const [name, value, preemptionPolicy] of [
    ['low', 1, 'PreemptLowerPriority'],
    ['high', 100, 'PreemptLowerPriority'],
    ['polite', 50, 'Never'],
  ] as const)
    await platform.client.create(priorityClasses, {
      apiVersion: 'scheduling.k8s.io/v1',
      kind: 'PriorityClass',
      metadata: { name },
      value,
      preemptionPolicy,
    })
  return platform
}

test('the less important leaves, its status says for whom, and the other gets the node', async (t) => {
  const platform = await platformWithClasses()
  t.after(() => platform.stop())
  const { client, until, untilEvents } = platform
  const victim = pod('victim', '800m', 'low')
  victim.metadata.finalizers = ['example.com/look']
  await client.create(pods, victim)
  await client.create(pods, pod('other', '100m', 'high'))
  for (const name of ['victim', 'other']) await until(pods, `default/${name}`, running)
  await client.create(pods, pod('important', '800m', 'high'))
  const left = await until(pods, 'default/victim', (object) => Boolean(object?.metadata.deletionTimestamp))
  const target = left.status.conditions.find(({ type }: { type: string }) => type === 'DisruptionTarget')
  assert.equal(target.reason, 'PreemptionByScheduler')
  const waiting = await until(pods, 'default/important', (object) => object?.status?.nominatedNodeName === nodeName)
  assert.equal(waiting.spec.nodeName, undefined)
  // What was made free for it is not given to somebody less important in the meantime.
  await client.create(pods, pod('cheeky', '500m', 'low'))
  await client.patch(pods, 'victim', 'default', 'merge', { metadata: { finalizers: null } })
  const placed = await until(pods, 'default/important', running)
  assert.equal(placed.status.nominatedNodeName, undefined)
  await untilEvents('Preempted', [/^Preempted by pod .+ on node node-1$/])
  assert.equal((await client.get(pods, 'cheeky', 'default')).spec.nodeName, undefined)
})

test('a Pod that never preempts waits; one behind a gate is not looked at', async (t) => {
  const platform = await platformWithClasses()
  t.after(() => platform.stop())
  const { client, until } = platform
  await client.create(pods, pod('first', '800m', 'low'))
  await until(pods, 'default/first', running)
  await client.create(pods, pod('polite', '800m', 'polite'))
  const message = (object: ApiObject | undefined) =>
    object?.status?.conditions?.find(({ type }: { type: string }) => type === 'PodScheduled')?.message ?? ''
  await until(pods, 'default/polite', (object) =>
    message(object).endsWith('not eligible due to preemptionPolicy=Never.'),
  )
  await client.create(pods, pod('gated', '10m', undefined, { schedulingGates: [{ name: 'example.com/wait' }] }))
  const gated = await client.get(pods, 'gated', 'default')
  assert.equal(message(gated), 'Scheduling is blocked due to non-empty scheduling gates')
  await client.patch(pods, 'gated', 'default', 'merge', { spec: { schedulingGates: null } })
  await until(pods, 'default/gated', running)
})
