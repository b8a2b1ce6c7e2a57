// How long Pods bear taints, and that they leave.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeName, startTestPlatform } from './platform.fixture.ts'
import { nodes, pods } from './resources.ts'
import { object } from './sample.fixture.ts'
import { bearsFor } from './taint-eviction.ts'

const taint = (key: string) => ({ key, value: 'v', effect: 'NoExecute' })

test('the shortest time of the tolerations that are used counts', () => {
  const bears = (tolerations: object[], ...keys: string[]) =>
    bearsFor(object('Pod', 'p', { spec: { tolerations } }), keys.map(taint))
  const exists = (key: string, tolerationSeconds?: number) => ({ key, operator: 'Exists', tolerationSeconds })
  assert.equal(bears([], 'a'), 0)
  assert.equal(bears([exists('a')], 'a'), Number.POSITIVE_INFINITY)
  assert.equal(bears([exists('a', 5), exists('b', 3)], 'a', 'b'), 3000)
  assert.equal(bears([exists('a', 5)], 'a', 'b'), 0)
  assert.equal(bears([exists('a', -1)], 'a'), 0)
})

test('a Pod that does not bear a taint goes, and its status says why', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until } = platform
  const containers = [{ name: 'c', image: 'i' }]
  const create = (name: string, spec: object) =>
    client.create(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default', finalizers: ['example.com/look'] },
      spec: { containers, ...spec },
    })
  await create('weak', {})
  await create('strong', { tolerations: [{ key: 'k', operator: 'Exists' }] })
  for (const name of ['weak', 'strong']) await until(pods, `default/${name}`, (pod) => pod?.status?.phase === 'Running')
  await client.patch(nodes, nodeName, undefined, 'merge', { spec: { taints: [taint('k')] } })
  const gone = await until(pods, 'default/weak', (pod) => Boolean(pod?.metadata.deletionTimestamp))
  const target = gone.status.conditions.find(({ type }: { type: string }) => type === 'DisruptionTarget')
  assert.equal(target.reason, 'DeletionByTaintManager')
  const strong = await client.get(pods, 'strong', 'default')
  assert.equal(strong.metadata.deletionTimestamp, undefined)
})
