// Custom resources through the whole server: from the definition to its end.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { patchType, startServer, take, told } from '../server.fixture.ts'
import { define, definition, definitions, undefine, until, versionOf } from './custom.fixture.ts'

const foos = '/apis/example.com/v1/namespaces/default/foos'
const foo = (name: string, more: object = {}) => ({
  apiVersion: 'example.com/v1',
  kind: 'Foo',
  metadata: { name },
  ...more,
})

const spec = (properties: object, more: object = {}) => ({
  properties: { spec: { type: 'object', properties, ...more } },
})

test('a definition is served as soon as it says Established', async () => {
  const server = await startServer()
  const made = await define(server, definition({ schema: spec({ size: { type: 'integer' } }) }))
  assert.deepEqual(made.status.acceptedNames, { plural: 'foos', singular: 'foo', kind: 'Foo', listKind: 'FooList' })
  assert.deepEqual(made.status.storedVersions, ['v1'])
  assert.deepEqual(
    made.status.conditions.map((one: any) => [one.type, one.status, one.reason]),
    [
      ['NamesAccepted', 'True', 'NoConflicts'],
      ['Established', 'True', 'InitialNamesAccepted'],
    ],
  )
  const created = await server.ok('POST', foos, foo('a', { spec: { size: 1, other: 2 } }))
  assert.deepEqual(created.spec, { size: 1 })
  assert.equal(created.metadata.generation, 1)
  assert.equal((await server.ok('GET', `${foos}/a`)).spec.size, 1)
  const list = await server.ok('GET', '/apis/example.com/v1/foos')
  assert.equal(list.kind, 'FooList')
  assert.equal(list.items.length, 1)
  const groups = await server.ok('GET', '/apis')
  assert.ok(groups.groups.some((one: any) => one.name === 'example.com'))
})

test('deleting a definition deletes its objects first', async () => {
  const server = await startServer()
  await define(server, definition())
  await server.ok('POST', foos, foo('a'))
  await server.ok('POST', foos, foo('held', { metadata: { name: 'held', finalizers: ['example.com/hold'] } }))
  const watch = await server.call('GET', '/apis/example.com/v1/foos?watch=1')
  await undefine(server, 'foos.example.com', async (answer) => {
    assert.deepEqual(answer.metadata.finalizers, ['customresourcecleanup.apiextensions.k8s.io'])
    assert.equal(answer.status.conditions.at(-1).reason, 'InstanceDeletionPending')
    assert.deepEqual(told(await take(watch, 4)), ['ADDED a', 'ADDED held', 'DELETED a', 'MODIFIED held'])
    assert.match(
      await server.refused(403, 'POST', foos, foo('b')),
      /create not allowed while custom resource definition is terminating/,
    )
    await server.ok('PATCH', `${foos}/held`, { metadata: { finalizers: null } }, patchType('merge'))
  })
  await server.refused(404, 'GET', foos)
  assert.equal(server.server.registry.preferred('example.com', 'foos'), undefined)
})

test('defaults of today are there in objects of yesterday', async () => {
  const server = await startServer()
  const first = definition({ schema: spec({ a: { type: 'string' }, b: { type: 'string' } }) })
  const made = structuredClone(await define(server, first))
  await server.ok('POST', foos, foo('old', { spec: { a: 'x', b: 'y' } }))
  made.spec.versions[0].schema.openAPIV3Schema = {
    type: 'object',
    ...spec({ a: { type: 'string', default: 'A' }, c: { type: 'string', default: 'C' } }),
  }
  const watch = await server.call('GET', `${foos}?watch=1`)
  await server.ok('PUT', `${definitions}/foos.example.com`, made)
  // The change ends the watch.
  await take(watch, 100)
  assert.deepEqual((await server.ok('GET', `${foos}/old`)).spec, { a: 'x', c: 'C' })
  const [stored] = server.store.list('/registry/example.com/foos/')
  assert.deepEqual(JSON.parse(stored!.value).spec, { a: 'x', b: 'y' })
})

test('several versions: one is stored, all are served', async () => {
  const server = await startServer()
  const versions = [
    versionOf('v1beta1', spec({ a: { type: 'string' } }), { storage: true, deprecated: true }),
    versionOf('v1', spec({ a: { type: 'string' }, b: { type: 'string' } })),
    versionOf('v2', {}, { served: false }),
  ]
  await define(server, definition({ versions }))
  const response = await server.call('POST', foos, foo('x', { spec: { a: '1', b: '2' } }))
  assert.deepEqual((response.object as any).spec, { a: '1' })
  assert.equal(response.warnings, undefined)
  const beta = '/apis/example.com/v1beta1/namespaces/default/foos'
  const old = await server.call('GET', `${beta}/x`)
  assert.equal((old.object as any).apiVersion, 'example.com/v1beta1')
  assert.deepEqual(old.warnings, ['example.com/v1beta1 Foo is deprecated'])
  await server.refused(404, 'GET', '/apis/example.com/v2/foos')
  const group = await server.ok('GET', '/apis/example.com')
  assert.deepEqual(
    group.versions.map((one: any) => one.version),
    ['v1', 'v1beta1'],
  )
  const [stored] = server.store.list('/registry/example.com/foos/')
  assert.equal(JSON.parse(stored!.value).apiVersion, 'example.com/v1beta1')
})

test('names that another definition has are not accepted until they are free', async () => {
  const server = await startServer()
  await define(server, definition())
  const second = definition({ kind: 'Foo', plural: 'others' })
  second.spec.names.singular = 'other'
  await server.ok('POST', definitions, second)
  const refused = await until(server, 'others.example.com', (one) => one.status.conditions.length > 1)
  assert.deepEqual(
    refused.status.conditions.map((one: any) => [one.type, one.status, one.reason, one.message]),
    [
      ['NamesAccepted', 'False', 'ListKindConflict', '"FooList" is already in use'],
      ['Established', 'False', 'NotAccepted', 'not all names are accepted'],
    ],
  )
  await server.refused(404, 'GET', '/apis/example.com/v1/others')
  await server.ok('DELETE', `${definitions}/foos.example.com`)
  const accepted = await until(server, 'others.example.com', (one) => one.status.conditions[1].status === 'True')
  assert.equal(accepted.status.acceptedNames.kind, 'Foo')
  await server.ok('GET', '/apis/example.com/v1/others')
})

test('status and scale are subresources of their own', async () => {
  const server = await startServer()
  const counts = { type: 'object', properties: { replicas: { type: 'integer' }, labelSelector: { type: 'string' } } }
  const subresources = {
    status: {},
    scale: {
      specReplicasPath: '.spec.replicas',
      statusReplicasPath: '.status.replicas',
      labelSelectorPath: '.status.labelSelector',
    },
  }
  const version = versionOf('v1', { properties: { spec: counts, status: counts } }, { storage: true, subresources })
  await define(server, definition({ versions: [version] }))
  const made = await server.ok('POST', foos, foo('a', { spec: { replicas: 3 }, status: { replicas: 9 } }))
  assert.equal(made.status, undefined)
  const status = await server.ok('PUT', `${foos}/a/status`, {
    ...made,
    spec: { replicas: 7 },
    status: { replicas: 2, labelSelector: 'a=b' },
  })
  assert.deepEqual([status.spec.replicas, status.status.replicas, status.metadata.generation], [3, 2, 1])
  const scale = await server.ok('GET', `${foos}/a/scale`)
  assert.deepEqual([scale.spec, scale.status], [{ replicas: 3 }, { replicas: 2, selector: 'a=b' }])
  scale.spec.replicas = 5
  await server.ok('PUT', `${foos}/a/scale`, scale)
  const grown = await server.ok('GET', `${foos}/a`)
  assert.deepEqual([grown.spec.replicas, grown.metadata.generation, grown.status.replicas], [5, 2, 2])
})

test('what a restarted server finds in the store it serves at once', async () => {
  const first = await startServer()
  await define(first, definition())
  await first.ok('POST', foos, foo('a'))
  const second = await startServer({ store: first.store })
  assert.equal((await second.ok('GET', `${foos}/a`)).metadata.name, 'a')
})

test('a definition of something built in is kept and changes nothing', async () => {
  const server = await startServer()
  const made = definition({ group: 'kubevirt.io', kind: 'VirtualMachine' })
  const response = await server.call('POST', definitions, made)
  assert.equal(response.status, 201)
  assert.match(response.warnings!.join(), /VirtualMachine of kubevirt.io is built into Tandem/)
  await until(server, 'virtualmachines.kubevirt.io', (one) => one.status.conditions.length > 1)
  assert.equal(server.server.registry.preferred('kubevirt.io', 'virtualmachines')!.form, undefined)
  await undefine(server, 'virtualmachines.kubevirt.io')
  assert.ok(server.server.registry.preferred('kubevirt.io', 'virtualmachines'))
})
