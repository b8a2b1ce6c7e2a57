// Create, read, update and delete through the whole server on the memory store.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configMap, maps, patchType, startServer } from './server.fixture.ts'

const deployments = '/apis/apps/v1/namespaces/default/deployments'

test('create fills metadata, get gives the same object, a second create is refused', async () => {
  const { ok, refused } = await startServer()
  const made = await ok('POST', maps, configMap('a', { k: 'v' }))
  assert.match(made.metadata.uid, /^[0-9a-f-]{36}$/)
  assert.match(made.metadata.creationTimestamp, /^\d{4}-.*Z$/)
  assert.equal(made.metadata.namespace, 'default')
  assert.equal(made.metadata.generation, undefined)
  assert.equal(await ok('GET', `${maps}/a`), made)
  assert.equal(await refused(409, 'POST', maps, configMap('a')), 'configmaps "a" already exists')
})

test('what is missing is a 404 with a Status', async () => {
  const { call, refused } = await startServer()
  assert.equal(await refused(404, 'GET', `${maps}/nope`), 'configmaps "nope" not found')
  assert.equal(await refused(404, 'GET', '/apis/x/v1/y'), 'the server could not find the requested resource')
  assert.equal(await refused(404, 'GET', '/nope'), 'the server could not find the requested resource')
  const response = await call('GET', `${maps}/nope`)
  assert.deepEqual(response.object, {
    apiVersion: 'v1',
    kind: 'Status',
    metadata: {},
    status: 'Failure',
    message: 'configmaps "nope" not found',
    reason: 'NotFound',
    details: { name: 'nope', group: '', kind: 'configmaps' },
    code: 404,
  })
})

test('a method that a resource does not serve is a 405', async () => {
  const { refused } = await startServer()
  const text = 'the server does not allow this method on the requested resource'
  assert.equal(await refused(405, 'PUT', maps, configMap('a')), text)
  assert.equal(await refused(405, 'POST', `${maps}/a`, configMap('a')), text)
})

test('generateName draws a name; a namespace that is missing is told', async () => {
  const { ok, refused } = await startServer()
  const body = { ...configMap(''), metadata: { generateName: 'job-' } }
  assert.match((await ok('POST', maps, body)).metadata.name, /^job-[b-z0-9]{5}$/)
  assert.equal(
    await refused(404, 'POST', '/api/v1/namespaces/no/configmaps', configMap('a')),
    'namespaces "no" not found',
  )
})

test('an update with an old resourceVersion is a conflict in upstream words', async () => {
  const { ok, refused } = await startServer()
  const first = await ok('POST', maps, configMap('a', { k: '1' }))
  const second = await ok('PUT', `${maps}/a`, { ...first, data: { k: '2' } })
  assert.ok(Number(second.metadata.resourceVersion) > Number(first.metadata.resourceVersion))
  assert.equal(first.data.k, '1', 'what was handed out never changes')
  assert.equal(
    await refused(409, 'PUT', `${maps}/a`, { ...first, data: { k: '3' } }),
    'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
  )
})

test('an update that changes nothing writes nothing', async () => {
  const { ok, store } = await startServer()
  const made = await ok('POST', maps, configMap('a', { k: '1' }))
  const before = store.revision()
  const same = await ok('PUT', `${maps}/a`, configMap('a', { k: '1' }))
  assert.equal(same.metadata.resourceVersion, made.metadata.resourceVersion)
  assert.equal(store.revision(), before)
})

test('unknown and duplicate fields: Strict refuses, Warn warns, Ignore is silent', async () => {
  const { call, refused } = await startServer()
  const text = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"dat":{},"data":{"k":"1","k":"2"}}'
  const json = { headers: { 'content-type': 'application/json' } }
  assert.equal(
    await refused(400, 'POST', `${maps}?fieldValidation=Strict`, text, json),
    'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dat", duplicate field "data.k"',
  )
  const warned = await call('POST', `${maps}?dryRun=All`, text, json)
  assert.deepEqual(warned.warnings, ['unknown field "dat"', 'duplicate field "data.k"'])
  const silent = await call('POST', `${maps}?fieldValidation=Ignore`, text, json)
  assert.equal(silent.warnings, undefined)
  assert.deepEqual((silent.object as any).data, { k: '2' })
})

test('a dry run answers and leaves nothing behind', async () => {
  const { ok, refused, store } = await startServer()
  const before = store.revision()
  assert.equal((await ok('POST', `${maps}?dryRun=All`, configMap('a'))).metadata.name, 'a')
  assert.equal(store.revision(), before)
  await refused(404, 'GET', `${maps}/a`)
})

test('spec and status are changed through their own doors; generation follows the spec', async () => {
  const { ok } = await startServer()
  const labels = { app: 'web' }
  const made = await ok('POST', deployments, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
    status: { replicas: 7 },
  })
  assert.equal(made.metadata.generation, 1)
  assert.notEqual(made.status?.replicas, 7)
  const status = await ok('PUT', `${deployments}/web/status`, {
    ...made,
    spec: { ...made.spec, replicas: 9 },
    status: { replicas: 3 },
  })
  assert.equal(status.spec.replicas, 1)
  assert.equal(status.status.replicas, 3)
  assert.equal(status.metadata.generation, 1)
  const spec = await ok('PUT', `${deployments}/web`, {
    ...status,
    spec: { ...status.spec, replicas: 2 },
    status: { replicas: 0 },
  })
  assert.equal(spec.metadata.generation, 2)
  assert.equal(spec.status.replicas, 3)
  const scaled = await ok('PATCH', `${deployments}/web/scale`, { spec: { replicas: 5 } }, patchType('merge'))
  assert.deepEqual([scaled.kind, scaled.spec.replicas, scaled.status.selector], ['Scale', 5, 'app=web'])
  assert.equal((await ok('GET', `${deployments}/web`)).spec.replicas, 5)
})

test('who applies a Scale owns the replicas of what is scaled', async () => {
  const { ok, refused } = await startServer()
  const labels = { app: 'web' }
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } }
  await ok('POST', deployments, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: { selector: { matchLabels: labels }, template },
  })
  const scale = (replicas: number, name = 'web') => ({
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: { name },
    spec: { replicas },
  })
  const to = (query: string) => [`${deployments}/web/scale?${query}`, patchType('apply')] as const
  const apply = (by: string, body: object, query = '') => {
    const [path, headers] = to(`fieldManager=${by}${query}`)
    return [path, body, headers] as const
  }
  // Who made it owns the default, too.
  assert.match(await refused(409, 'PATCH', ...apply('one', scale(3))), /conflict with "test".*\.spec\.replicas/)
  assert.equal((await ok('PATCH', ...apply('one', scale(3), '&force=true'))).spec.replicas, 3)
  const { spec, metadata } = await ok('GET', `${deployments}/web`)
  assert.equal(spec.replicas, 3)
  const note = metadata.managedFields.find(({ manager }: { manager: string }) => manager === 'one')
  assert.deepEqual(
    [note.operation, note.subresource, note.fieldsV1],
    ['Apply', 'scale', { 'f:spec': { 'f:replicas': {} } }],
  )
  assert.match(await refused(409, 'PATCH', ...apply('two', scale(4))), /conflict with "one".*\.spec\.replicas/)
  assert.equal((await ok('PATCH', ...apply('two', scale(0), '&force=true'))).spec.replicas ?? 0, 0)
  assert.match(await refused(400, 'PATCH', ...apply('two', scale(1, 'other'))), /does not match the name on the URL/)
  assert.match(await refused(400, 'PATCH', ...apply('two', configMap('web'))), /apply a Scale/)
  const [path, headers] = to('')
  assert.match(await refused(422, 'PATCH', path, scale(1), headers), /fieldManager: Required/)
})

test('many patches of one object at once all arrive', async () => {
  const { ok } = await startServer()
  await ok('POST', maps, configMap('a'))
  await Promise.all(
    Array.from({ length: 50 }, (_, i) => ok('PATCH', `${maps}/a`, { data: { [`k${i}`]: 'v' } }, patchType('merge'))),
  )
  assert.equal(Object.keys((await ok('GET', `${maps}/a`)).data).length, 50)
})

test('server-side apply creates, merges, and refuses what others own', async () => {
  const { ok, refused, call } = await startServer()
  const apply = (manager: string, data: Record<string, string>, query = '') =>
    [`${maps}/a?fieldManager=${manager}${query}`, configMap('a', data), patchType('apply')] as const
  assert.equal((await call('PATCH', ...apply('one', { a: '1' }))).status, 201)
  await ok('PATCH', ...apply('two', { b: '2' }))
  assert.deepEqual((await ok('GET', `${maps}/a`)).data, { a: '1', b: '2' })
  assert.match(
    await refused(409, 'PATCH', ...apply('two', { a: '9' })),
    /Apply failed with 1 conflict: conflict with "one": .data.a/,
  )
  assert.deepEqual((await ok('PATCH', ...apply('two', { a: '9' }, '&force=true'))).data, { a: '9' })
  assert.match(
    await refused(422, 'PATCH', `${maps}/a`, configMap('a'), patchType('apply')),
    /fieldManager: Required value/,
  )
})

test('a patch cannot smuggle a prototype in', async () => {
  const { call, ok } = await startServer()
  await ok('POST', maps, configMap('a'))
  const bytes = '{"metadata":{"labels":{"__proto__":{"polluted":"yes"}}}}'
  await call('PATCH', `${maps}/a`, bytes, patchType('merge'))
  assert.equal(({} as any).polluted, undefined)
})

test('what has the wrong type is refused, however it is wrong', async () => {
  const tandem = await startServer()
  const maps = '/api/v1/namespaces/default/configmaps'
  const odd = { toString: null, valueOf: [] }
  await tandem.refused(400, 'POST', maps, { apiVersion: 'v1', kind: odd, metadata: { name: 'a' } })
  await tandem.refused(400, 'POST', maps, { apiVersion: odd, kind: 'ConfigMap', metadata: { name: 'a' } })
  const machines = '/apis/kubevirt.io/v1/namespaces/default/virtualmachines'
  const machine = (spec: object) => ({
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name: 'a' },
    spec: { runStrategy: 'Always', template: { spec } },
  })
  const devices = (disks: unknown) => ({ domain: { devices: { disks } } })
  for (const spec of [devices({}), devices('x'), { ...devices([]), volumes: { a: 1 } }, { domain: { devices: [] } }])
    await tandem.refused(422, 'POST', machines, machine(spec))
  const instances = machines.replace('virtualmachines', 'virtualmachineinstances')
  const instance = { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachineInstance', metadata: { name: 'a' } }
  await tandem.refused(422, 'POST', instances, { ...instance, spec: { domain: { devices: 'x' } } })
  await tandem.ok('POST', maps, configMap('b'))
  await tandem.refused(400, 'DELETE', `${maps}/b`, { preconditions: { uid: odd } })
  await tandem.refused(422, 'PATCH', `${maps}/b`, [{ op: 'copy', path: '/data' }], patchType('json'))
})
