// Deletion on a whole platform: circles of owners, owners elsewhere, the order in which a namespace is emptied.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { startTestPlatform, type TestPlatform } from './platform.fixture.ts'
import { configMaps, namespaces, pods, serviceAccounts } from './resources.ts'

let platform: TestPlatform
before(async () => {
  platform = await startTestPlatform()
})
after(() => platform.stop())

const configMap = (name: string, metadata: object = {}): ApiObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', ...metadata },
})

const ownedBy = ({ metadata }: StoredObject) => ({
  ownerReferences: [
    { apiVersion: 'v1', kind: 'ConfigMap', name: metadata.name, uid: metadata.uid, blockOwnerDeletion: true },
  ],
})

test('objects that own each other in a circle go all the same', async () => {
  const { client } = platform
  const first = await client.create(configMaps, configMap('first'))
  const second = await client.create(configMaps, configMap('second', ownedBy(first)))
  const third = await client.create(configMaps, configMap('third', ownedBy(second)))
  await client.patch(configMaps, 'first', 'default', 'merge', { metadata: ownedBy(third) })
  await client.delete(configMaps, 'first', 'default', { propagationPolicy: 'Foreground' })
  const ours = new Set(['first', 'second', 'third'])
  await platform.untilAll(configMaps, (all) => !all.some(({ metadata }) => ours.has(metadata.name)))
})

test('an owner in another namespace owns nothing, and that is said', async () => {
  const { client } = platform
  await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other' } })
  const owner = await client.create(configMaps, configMap('owner', { namespace: 'other' }))
  await client.create(configMaps, configMap('lost', ownedBy(owner)))
  await platform.until(configMaps, 'default/lost', (object) => !object)
  await platform.untilEvents('OwnerRefInvalidNamespace', [
    /^ownerRef \[v1\/ConfigMap, namespace: default, name: owner, uid: .*\] does not exist in namespace "default"$/,
  ])
})

test('a namespace loses its Pods before anything else', async () => {
  const { client } = platform
  const namespace = 'leaving'
  await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  await platform.until(serviceAccounts, `${namespace}/default`, (account) => account !== undefined)
  await client.create(configMaps, configMap('kept', { namespace }))
  await client.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'held', namespace, finalizers: ['example.com/hold'] },
    spec: { containers: [{ name: 'c', image: 'i' }] },
  })
  await client.delete(namespaces, namespace)
  const seen = await platform.until(namespaces, namespace, (object) =>
    object?.status?.conditions?.some(
      (each: any) => each.type === 'NamespaceFinalizersRemaining' && each.status === 'True',
    ),
  )
  const remaining = seen.status.conditions.find((each: any) => each.type === 'NamespaceContentRemaining')
  assert.equal(remaining.message, 'Some resources are remaining: pods. has 1 resource instances')
  assert.ok(await client.get(configMaps, 'kept', namespace))
  await client.patch(pods, 'held', namespace, 'merge', { metadata: { finalizers: null } })
  await platform.until(namespaces, namespace, (object) => !object)
})
