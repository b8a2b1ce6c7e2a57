import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '../api/errors.ts'
import type { ApiRequest, ApiResponse, WatchEvent } from '../api/exchange.ts'
import type { StoredObject } from '../api/meta.ts'
import { FakeClock } from '../base/clock.ts'
import { createCachingClient } from './caching-client.ts'
import { createClient } from './client.ts'
import { createInformer, createInformerFactory } from './informer.ts'

const ref = { group: '', version: 'v1', resource: 'pods' }

const pod = (name: string, revision: number, extra: Record<string, unknown> = {}): StoredObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name,
    namespace: 'default',
    uid: `uid-${name}`,
    resourceVersion: String(revision),
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  ...extra,
})

/** A server of which the test is the author: what it lists, and events that it sends when told to. */
function scriptedServer() {
  const requests: ApiRequest[] = []
  const lists: { items: StoredObject[]; revision: number }[] = []
  let watcher: ReturnType<typeof eventQueue> | undefined
  let watchError: ApiError | undefined
  async function transport(request: ApiRequest): Promise<ApiResponse> {
    requests.push(request)
    if (request.query.get('watch')) {
      const error = watchError
      watchError = undefined
      if (error) return { status: error.code, object: error.toStatus() }
      watcher = eventQueue(request.signal)
      return { status: 200, events: watcher.events }
    }
    if (request.method !== 'GET') return { status: 200, object: request.body as object }
    const { items, revision } = lists.shift() ?? { items: [], revision: 1 }
    const metadata = { resourceVersion: String(revision) }
    return { status: 200, object: { apiVersion: 'v1', kind: 'PodList', metadata, items } }
  }
  return {
    transport,
    requests,
    lists,
    send: (...events: WatchEvent<StoredObject>[]) => {
      for (const event of events) watcher!.push(event)
    },
    end: () => watcher!.close(),
    refuseWatch: (error: ApiError) => {
      watchError = error
    },
  }
}

function eventQueue(signal?: AbortSignal) {
  const waiting: (WatchEvent | undefined)[] = []
  let wake = () => {}
  const push = (event: WatchEvent | undefined) => {
    waiting.push(event)
    wake()
  }
  signal?.addEventListener('abort', () => push(undefined))
  return {
    push,
    close: () => push(undefined),
    events: (async function* () {
      for (;;) {
        while (!waiting.length) await new Promise<void>((resolve) => (wake = resolve))
        const event = waiting.shift()
        if (!event) return
        yield event
      }
    })(),
  }
}

function start(options: { watchList?: boolean } = {}) {
  const server = scriptedServer()
  const clock = new FakeClock()
  const client = createClient(server.transport)
  const told: string[] = []
  const begin = (...items: StoredObject[]) => {
    server.lists.push({ items, revision: 10 })
    const informer = createInformer(ref, { client, clock, ...options })
    informer.addHandler({
      changed: (object, old) =>
        told.push(`${old ? 'update' : 'add'} ${object.metadata.name} ${object.metadata.resourceVersion}`),
      removed: (object) => told.push(`remove ${object.metadata.name}`),
    })
    return informer
  }
  return { server, clock, client, told, begin }
}

test('lists, then follows each change; objects are the very ones that the server gave', async () => {
  const { server, clock, told, begin } = start()
  const listed = pod('a', 5)
  const informer = begin(listed)
  await informer.synced()
  assert.equal(informer.get('default/a'), listed)
  await clock.advance(0)
  server.send(
    { type: 'ADDED', object: pod('b', 11) },
    { type: 'MODIFIED', object: pod('a', 12) },
    { type: 'MODIFIED', object: pod('a', 12) },
    { type: 'DELETED', object: pod('b', 13) },
  )
  await clock.advance(0)
  assert.deepEqual(told, ['add a 5', 'add b 11', 'update a 12', 'remove b'])
  assert.equal(server.requests[1]!.query.get('resourceVersion'), '10')
  informer.stop()
})

test('a watch that ends goes on from the last revision, bookmarks included', async () => {
  const { server, clock, begin } = start()
  const informer = begin()
  await informer.synced()
  await clock.advance(5000)
  server.send({ type: 'BOOKMARK', object: pod('', 40) })
  await clock.advance(0)
  server.end()
  await clock.advance(500)
  assert.equal(server.requests.at(-1)!.query.get('resourceVersion'), '40')
  assert.equal(server.requests.filter((request) => !request.query.get('watch')).length, 1)
  informer.stop()
})

test('410 Gone lists again: what is missing is removed, what is the same is not told', async () => {
  const { server, clock, told, begin } = start()
  const informer = begin(pod('a', 5), pod('b', 6))
  await informer.synced()
  await clock.advance(5000)
  server.lists.push({ items: [pod('a', 5), pod('c', 50)], revision: 60 })
  server.send({
    type: 'ERROR',
    object: new ApiError('Expired', 'too old resource version').toStatus() as unknown as StoredObject,
  })
  await clock.advance(500)
  assert.deepEqual(told, ['add a 5', 'add b 6', 'add c 50', 'remove b'])
  informer.stop()
})

test('a refused watch is tried again with growing delays', async () => {
  const { server, clock, begin } = start()
  server.refuseWatch(new ApiError('ServiceUnavailable', 'not now'))
  const informer = begin()
  await informer.synced()
  await clock.advance(0)
  const before = server.requests.length
  await clock.advance(50)
  assert.equal(server.requests.length, before)
  await clock.advance(200)
  assert.equal(server.requests.length, before + 1)
  informer.stop()
})

test('WatchList: nothing is told before the first state is complete', async () => {
  const { server, clock, told, begin } = start({ watchList: true })
  const informer = begin()
  await clock.advance(0)
  server.send({ type: 'ADDED', object: pod('a', 5) })
  await clock.advance(0)
  assert.deepEqual(told, [])
  const bookmark = pod('', 20)
  bookmark.metadata.annotations = { 'k8s.io/initial-events-end': 'true' }
  server.send({ type: 'BOOKMARK', object: bookmark })
  await informer.synced()
  assert.deepEqual(told, ['add a 5'])
  informer.stop()
})

test('WatchList falls back to a list where the server does not know it', async () => {
  const { server, begin } = start({ watchList: true })
  server.refuseWatch(new ApiError('Invalid', 'sendInitialEvents is forbidden'))
  const informer = begin(pod('a', 5))
  await informer.synced()
  assert.equal(informer.list().length, 1)
  informer.stop()
})

test('indexes follow every change', async () => {
  const { server, clock, begin } = start()
  const informer = begin(pod('a', 5, { spec: { nodeName: 'n1' } }))
  informer.addIndex('node', (object) => (object.spec?.nodeName ? [object.spec.nodeName] : []))
  await informer.synced()
  const on = (node: string) => informer.byIndex('node', node).map((object) => object.metadata.name)
  assert.deepEqual(on('n1'), ['a'])
  await clock.advance(0)
  server.send({ type: 'MODIFIED', object: pod('a', 12, { spec: { nodeName: 'n2' } }) })
  await clock.advance(0)
  assert.deepEqual([on('n1'), on('n2')], [[], ['a']])
  server.send({ type: 'DELETED', object: pod('a', 13) })
  await clock.advance(0)
  assert.deepEqual(on('n2'), [])
  assert.deepEqual(informer.list('default'), [])
  assert.throws(() => informer.byIndex('nowhere', 'x'), /no index "nowhere"/)
  informer.stop()
})

test('a handler that fails does not cost the others their news', async () => {
  const { server, clock, told, begin } = start()
  const informer = begin()
  informer.addHandler({
    changed: () => {
      throw new Error('mine')
    },
    removed: () => {},
  })
  const heard: string[] = []
  informer.addHandler({ changed: (object) => heard.push(object.metadata.name), removed: () => {} })
  await informer.synced()
  await clock.advance(0)
  server.send({ type: 'ADDED', object: pod('a', 11) })
  await clock.advance(0)
  assert.deepEqual([told, heard], [['add a 11'], ['a']])
  informer.stop()
})

test('our own writes are seen at once, and an event that is older than them is not', async () => {
  const { server, clock, client } = start()
  const informers = createInformerFactory({ client, clock })
  const own = createCachingClient(client, informers)
  const informer = informers.informer(ref)
  await informers.synced()
  await clock.advance(0)
  await own.create(ref, pod('a', 20))
  assert.equal(informer.get('default/a')?.metadata.resourceVersion, '20')
  server.send({ type: 'ADDED', object: pod('a', 15) })
  await clock.advance(0)
  assert.equal(informer.get('default/a')?.metadata.resourceVersion, '20')
  // The watch is past the write: an answer that comes late must not bring back what is gone.
  server.send({ type: 'DELETED', object: pod('a', 30) })
  await clock.advance(0)
  await own.update(ref, pod('a', 25))
  assert.equal(informer.get('default/a'), undefined)
  await own.create(ref, pod('dry', 99), { dryRun: true })
  assert.equal(informer.get('default/dry'), undefined)
  informers.stop()
})
