// A Pod with an ephemeral volume gets a claim, runs, and takes the claim with it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTestPlatform } from './platform.fixture.ts'
import { persistentVolumeClaims, pods, storageClasses } from './resources.ts'

test('the claim of an ephemeral volume comes and goes with its Pod', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until, informers } = platform
  await informers.informer(storageClasses).synced()
  const [storageClass] = informers.informer(storageClasses).list()
  const spec = {
    accessModes: ['ReadWriteOnce'],
    storageClassName: storageClass!.metadata.name,
    resources: { requests: { storage: '1Gi' } },
  }
  await client.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'default' },
    spec: {
      containers: [{ name: 'c', image: 'i' }],
      volumes: [{ name: 'scratch', ephemeral: { volumeClaimTemplate: { metadata: { labels: { a: 'b' } }, spec } } }],
    },
  })
  const claim = await until(persistentVolumeClaims, 'default/p-scratch', (one) => one?.status?.phase === 'Bound')
  assert.deepEqual(claim.metadata.labels, { a: 'b' })
  assert.equal(claim.metadata.ownerReferences![0]!.name, 'p')
  await until(pods, 'default/p', (pod) => pod?.status?.phase === 'Running')
  await client.delete(pods, 'p', 'default')
  await until(persistentVolumeClaims, 'default/p-scratch', (one) => one === undefined)
})
