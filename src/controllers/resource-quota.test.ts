// Counting for quotas, alone and in a whole platform.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kinds } from '../kinds/index.ts'
import { startTestPlatform } from './platform.fixture.ts'
import { countedKinds, usedBy } from './resource-quota.ts'
import { configMaps, resourceQuotas } from './resources.ts'
import { at, object } from './sample.fixture.ts'

const pod = (fields: object, status?: object) =>
  object('Pod', 'p', { spec: { containers: [{ name: 'c', resources: fields }] }, ...(status && { status }) })

test('only kinds that a quota names are counted', () => {
  const named = (hard: string[]) => countedKinds(kinds, hard).map((kind) => kind.plural)
  assert.deepEqual(named(['requests.cpu', 'count/deployments.apps', 'services.nodeports']).sort(), [
    'deployments',
    'pods',
    'services',
    'virtualmachineinstances',
  ])
  assert.deepEqual(named(['count/events', 'count/namespaces']), [])
})

test('sums in the spelling of what is summed; finished Pods cost their place only', () => {
  const quota = object('ResourceQuota', 'q', {
    spec: { hard: { pods: '5', 'count/pods': '5', 'requests.cpu': '4', memory: '1Gi', 'requests.x.io/gpu': '1' } },
  })
  const objects = [
    pod({ requests: { cpu: '250m', memory: '64Mi' } }),
    pod({ requests: { cpu: '1500m', memory: '64Mi' } }),
    pod({ requests: { cpu: '3' } }, { phase: 'Failed' }),
  ]
  assert.deepEqual(usedBy(quota, [{ groupResource: 'pods', objects }], at(0)), {
    pods: '2',
    'count/pods': '3',
    'requests.cpu': '1750m',
    memory: '128Mi',
    'requests.x.io/gpu': '0',
  })
})

test('init containers and sidecars: the neediest moment counts', () => {
  const quota = object('ResourceQuota', 'q', { spec: { hard: { 'requests.cpu': '4' } } })
  const cpu = (amount: string, more: object = {}) => ({
    name: amount,
    resources: { requests: { cpu: amount } },
    ...more,
  })
  const one = object('Pod', 'p', {
    spec: {
      initContainers: [cpu('1', { restartPolicy: 'Always' }), cpu('5')],
      containers: [cpu('2')],
      overhead: { cpu: '100m' },
    },
  })
  assert.deepEqual(usedBy(quota, [{ groupResource: 'pods', objects: [one] }], at(0)), { 'requests.cpu': '6100m' })
})

test('the status follows what the namespace holds', async () => {
  const platform = await startTestPlatform()
  const { client, until } = platform
  try {
    const metadata = (name: string) => ({ name, namespace: 'default' })
    await client.create(resourceQuotas, {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: metadata('q'),
      spec: { hard: { configmaps: '10', 'count/deployments.apps': '3' } },
    })
    const used = (value: string) => (quota: any) => quota?.status?.used?.configmaps === value
    // The root certificate is a ConfigMap of every namespace.
    const first = await until(resourceQuotas, 'default/q', used('1'), 'counted')
    assert.deepEqual(first.status.hard, { configmaps: '10', 'count/deployments.apps': '3' })
    assert.equal(first.status.used['count/deployments.apps'], '0')
    await client.create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: metadata('m') })
    await until(resourceQuotas, 'default/q', used('2'), 'one more')
    await client.delete(configMaps, 'm', 'default')
    await until(resourceQuotas, 'default/q', used('1'), 'one less')
    assert.deepEqual(platform.complaints, [])
  } finally {
    await platform.stop()
  }
})
