// Conversion by a webhook: every read and write in another version than the stored one asks it, once per state.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { patchType, startServer, take, told } from '../server.fixture.ts'
import { define, definition, definitions, undefine, versionOf } from './custom.fixture.ts'

const at = (version: string, name = '') => `/apis/example.com/${version}/namespaces/default/foos${name && `/${name}`}`

const port = (properties: object) => ({ properties })
const text = { type: 'string' }

/** v1 has host and port in one field, v2 apart. */
function reviews(options: { fail?: string } = {}) {
  const asked: any[] = []
  const askWebhook = async (_client: unknown, review: any): Promise<any> => {
    asked.push(review)
    if (options.fail) throw new Error(options.fail)
    const { uid, desiredAPIVersion, objects } = review.request
    const convertedObjects = objects.map(({ hostPort, host, port: number, ...object }: any) => {
      const own = desiredAPIVersion.endsWith('/v1')
        ? { hostPort: `${host}:${number}` }
        : { host: hostPort.split(':')[0], port: hostPort.split(':')[1] }
      return { ...object, apiVersion: desiredAPIVersion, ...own }
    })
    return {
      apiVersion: review.apiVersion,
      kind: 'ConversionReview',
      response: { uid, result: { status: 'Success' }, convertedObjects },
    }
  }
  return { asked, options, askWebhook }
}

const converted = definition({
  versions: [
    versionOf('v1', port({ hostPort: text }), { storage: true }),
    versionOf('v2', port({ host: text, port: text })),
  ],
  spec: {
    conversion: {
      strategy: 'Webhook',
      webhook: { conversionReviewVersions: ['v1', 'v1beta1'], clientConfig: { url: 'https://example.com/convert' } },
    },
  },
})

const foo = (version: string, name: string, more: object) => ({
  ...{ apiVersion: `example.com/${version}`, kind: 'Foo', metadata: { name } },
  ...more,
})

test('both versions are read, written, listed and watched', async () => {
  const webhook = reviews()
  const server = await startServer({ askWebhook: webhook.askWebhook })
  await define(server, converted)
  await server.ok('POST', at('v1'), foo('v1', 'a', { hostPort: 'localhost:1' }))
  assert.equal(webhook.asked.length, 0)
  const read = await server.ok('GET', at('v2', 'a'))
  assert.deepEqual(
    [read.apiVersion, read.host, read.port, read.hostPort],
    ['example.com/v2', 'localhost', '1', undefined],
  )
  await server.ok('GET', at('v2', 'a'))
  assert.equal(webhook.asked.length, 1)
  const made = await server.ok('POST', at('v2'), foo('v2', 'b', { host: 'h', port: '2' }))
  assert.deepEqual([made.apiVersion, made.host, made.port], ['example.com/v2', 'h', '2'])
  assert.equal((await server.ok('GET', at('v1', 'b'))).hostPort, 'h:2')
  const asked = webhook.asked.length
  const list = await server.ok('GET', at('v2'))
  assert.deepEqual(
    list.items.map((one: any) => one.port),
    ['1', '2'],
  )
  assert.ok(webhook.asked.length <= asked + 1)
  const watch = await server.call('GET', `${at('v2')}?watch=1`)
  await server.ok('PATCH', at('v1', 'a'), { hostPort: 'localhost:9' }, patchType('merge'))
  await server.ok('PATCH', at('v2', 'b'), { port: '8' }, patchType('merge'))
  await server.ok('DELETE', at('v1', 'a'))
  const events = await take(watch, 5)
  assert.deepEqual(told(events), ['ADDED a', 'ADDED b', 'MODIFIED a', 'MODIFIED b', 'DELETED a'])
  assert.deepEqual(
    events.map((event) => event.object.port),
    ['1', '2', '9', '8', '9'],
  )
})

test("a webhook that fails makes the answer fail in upstream's words", async () => {
  const webhook = reviews()
  const server = await startServer({ askWebhook: webhook.askWebhook })
  await define(server, converted)
  await server.ok('POST', at('v1'), foo('v1', 'a', { hostPort: 'localhost:1' }))
  webhook.options.fail = 'failed to call webhook: no route'
  const message = 'conversion webhook for example.com/v1, Kind=Foo failed: no route'
  assert.equal(await server.refused(500, 'GET', at('v2', 'a')), message)
  assert.equal(await server.refused(500, 'GET', at('v2')), message)
  assert.equal((await server.ok('GET', at('v1', 'a'))).hostPort, 'localhost:1')
  // Everything goes with the definition all the same, whatever version it is stored in.
  const patch = [
    { op: 'replace', path: '/spec/versions/0/storage', value: false },
    { op: 'replace', path: '/spec/versions/1/storage', value: true },
  ]
  await server.ok('PATCH', `${definitions}/foos.example.com`, patch, patchType('json'))
  await undefine(server, 'foos.example.com')
})

test('objects stay in the version in which they were written when the storage version changes', async () => {
  const webhook = reviews()
  const server = await startServer({ askWebhook: webhook.askWebhook })
  await define(server, converted)
  await server.ok('POST', at('v1'), foo('v1', 'a', { hostPort: 'localhost:1' }))
  const patch = [
    { op: 'replace', path: '/spec/versions/0/storage', value: false },
    { op: 'replace', path: '/spec/versions/1/storage', value: true },
  ]
  const changed = await server.ok('PATCH', `${definitions}/foos.example.com`, patch, patchType('json'))
  assert.deepEqual(changed.status.storedVersions, ['v1', 'v2'])
  await new Promise((resolve) => setImmediate(resolve))
  await server.ok('POST', at('v1'), foo('v1', 'b', { hostPort: 'localhost:2' }))
  const stored = server.store.list('/registry/example.com/foos/').map((entry) => JSON.parse(entry.value).apiVersion)
  assert.deepEqual(stored, ['example.com/v1', 'example.com/v2'])
  const list = await server.ok('GET', at('v1'))
  assert.deepEqual(
    list.items.map((one: any) => one.hostPort),
    ['localhost:1', 'localhost:2'],
  )
})

test('what a webhook answers is checked', async () => {
  const webhook = reviews()
  const server = await startServer({
    askWebhook: async (client, review: any) => {
      const answer = await webhook.askWebhook(client, review)
      answer.response.convertedObjects[0].metadata = { ...answer.response.convertedObjects[0].metadata, name: 'other' }
      return answer
    },
  })
  await define(server, converted)
  await server.ok('POST', at('v1'), foo('v1', 'a', { hostPort: 'localhost:1' }))
  assert.equal(
    await server.refused(500, 'GET', at('v2', 'a')),
    'conversion webhook for example.com/v1, Kind=Foo returned invalid converted object at index 0: must have the same name: a != other',
  )
})
