// Deleting: finalizers, propagation, grace of Pods, namespaces, preconditions, collections.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configMap, maps, patchType, startServer, type TestServer } from './server.fixture.ts'

const gone = ({ refused }: TestServer, url: string) => refused(404, 'GET', url)

test('a delete answers with a Status that names what went', async () => {
  const tandem = await startServer()
  const made = await tandem.ok('POST', maps, configMap('a'))
  const status = await tandem.ok('DELETE', `${maps}/a`)
  assert.deepEqual(status.details, { name: 'a', kind: 'configmaps', uid: made.metadata.uid })
  await gone(tandem, `${maps}/a`)
})

test('preconditions hold', async () => {
  const tandem = await startServer()
  const made = await tandem.ok('POST', maps, configMap('a'))
  const message = await tandem.refused(409, 'DELETE', `${maps}/a`, { preconditions: { uid: 'other' } })
  assert.match(message, /Precondition failed: UID in precondition: other, UID in object meta: /)
  await tandem.ok('DELETE', `${maps}/a`, { preconditions: { uid: made.metadata.uid } })
})

test('finalizers hold an object until the last one is taken off; no new one may come', async () => {
  const tandem = await startServer()
  const body = configMap('a')
  await tandem.ok('POST', maps, { ...body, metadata: { name: 'a', finalizers: ['x.io/one'] } })
  const leaving = await tandem.ok('DELETE', `${maps}/a`)
  assert.ok(leaving.metadata.deletionTimestamp)
  const more = { metadata: { finalizers: ['x.io/one', 'x.io/two'] } }
  assert.match(
    await tandem.refused(422, 'PATCH', `${maps}/a`, more, patchType('merge')),
    /no new finalizers can be added if the object is being deleted, found new finalizers \[\]string{"x.io\/two"}/,
  )
  await tandem.ok('PATCH', `${maps}/a`, { metadata: { finalizers: null } }, patchType('merge'))
  await gone(tandem, `${maps}/a`)
})

test('propagation becomes a finalizer', async () => {
  const tandem = await startServer()
  for (const [policy, finalizer] of [
    ['Foreground', 'foregroundDeletion'],
    ['Orphan', 'orphan'],
  ] as const) {
    await tandem.ok('POST', maps, configMap(policy.toLowerCase()))
    const leaving = await tandem.ok('DELETE', `${maps}/${policy.toLowerCase()}`, { propagationPolicy: policy })
    assert.deepEqual(leaving.metadata.finalizers, [finalizer])
  }
})

const pods = '/api/v1/namespaces/default/pods'

async function runningPod(tandem: TestServer): Promise<void> {
  await tandem.ok('POST', '/api/v1/namespaces/default/serviceaccounts', {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  })
  await tandem.ok('POST', pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', image: 'i' }] },
  })
  await tandem.ok('POST', `${pods}/p/binding`, {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name: 'p' },
    target: { kind: 'Node', name: 'n1' },
  })
}

test('a bound Pod gets its grace, which can only become shorter; zero is at once', async () => {
  const tandem = await startServer()
  await runningPod(tandem)
  const first = await tandem.ok('DELETE', `${pods}/p`)
  assert.equal(first.metadata.deletionGracePeriodSeconds, 30)
  const longer = await tandem.ok('DELETE', `${pods}/p`, { gracePeriodSeconds: 60 })
  assert.equal(longer.metadata.deletionGracePeriodSeconds, 30)
  const shorter = await tandem.ok('DELETE', `${pods}/p`, { gracePeriodSeconds: 5 })
  assert.equal(shorter.metadata.deletionGracePeriodSeconds, 5)
  await tandem.ok('DELETE', `${pods}/p`, { gracePeriodSeconds: 0 })
  await gone(tandem, `${pods}/p`)
})

test('a Pod is bound once, and evicted like a delete', async () => {
  const tandem = await startServer()
  await runningPod(tandem)
  const again = { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'p' }, target: { kind: 'Node', name: 'n2' } }
  assert.match(await tandem.refused(409, 'POST', `${pods}/p/binding`, again), /pod p is already assigned to node "n1"/)
  const pod = await tandem.ok('GET', `${pods}/p`)
  assert.equal(pod.spec.nodeName, 'n1')
  assert.equal(pod.status.conditions.find((one: any) => one.type === 'PodScheduled').status, 'True')
  await tandem.ok('POST', `${pods}/p/eviction`, { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'p' } })
  assert.ok((await tandem.ok('GET', `${pods}/p`)).metadata.deletionTimestamp)
})

test('a namespace goes when its finalizer goes; nothing new may be made in it meanwhile', async () => {
  const tandem = await startServer()
  const namespaces = '/api/v1/namespaces'
  await tandem.ok('POST', namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x' } })
  const holding = { spec: { finalizers: ['kubernetes', 'example.com/hold'] } }
  await tandem.ok('PATCH', `${namespaces}/x`, holding, patchType('merge'))
  const plain = await tandem.ok('GET', `${namespaces}/x`)
  assert.deepEqual(plain.spec.finalizers, ['kubernetes'])
  const held = await tandem.ok('PUT', `${namespaces}/x/finalize`, { ...plain, ...holding })
  assert.deepEqual(held.spec.finalizers, holding.spec.finalizers)
  await tandem.refused(422, 'PUT', `${namespaces}/x/finalize`, { ...held, spec: { finalizers: ['hold'] } })
  const leaving = await tandem.ok('DELETE', `${namespaces}/x`)
  assert.equal(leaving.status.phase, 'Terminating')
  assert.equal(
    await tandem.refused(403, 'POST', `${namespaces}/x/configmaps`, configMap('a')),
    'configmaps "a" is forbidden: unable to create new content in namespace x because it is being terminated',
  )
  assert.match(await tandem.refused(409, 'DELETE', `${namespaces}/x`), /The system is ensuring all content is removed/)
  await tandem.ok('PUT', `${namespaces}/x/finalize`, { ...leaving, spec: { finalizers: [] } })
  await gone(tandem, `${namespaces}/x`)
  assert.match(await tandem.refused(403, 'DELETE', `${namespaces}/default`), /this namespace may not be deleted/)
})

test('a collection goes by selector', async () => {
  const tandem = await startServer()
  for (const name of ['a', 'b', 'c']) await tandem.ok('POST', maps, configMap(name, {}, { keep: String(name === 'b') }))
  await tandem.ok('DELETE', `${maps}?labelSelector=keep=false`)
  const left = await tandem.ok('GET', maps)
  assert.deepEqual(
    left.items.map((item: any) => item.metadata.name),
    ['b'],
  )
})
