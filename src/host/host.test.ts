// The host agent over the real informer and client, with a server that is a few lines and a driver that pretends.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WatchEvent } from '../api/exchange.ts'
import type { StoredObject } from '../api/meta.ts'
import { realClock } from '../base/clock.ts'
import { silentLogger } from '../base/log.ts'
import type { Client } from '../client/client.ts'
import { createInformerFactory } from '../client/informer.ts'
import { createFakeDriver } from './fake.ts'
import { createHost, podHosting } from './host.ts'

const pod = (uid: string, metadata: object = {}): StoredObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'default', uid, resourceVersion: '1', creationTimestamp: '', ...metadata },
  spec: { nodeName: 'here', containers: [{ name: 'web', image: 'web' }] },
})

/** One Pod named default/web, or none. */
function fakeServer() {
  let current: StoredObject | undefined
  let revision = 1
  let send: (event: WatchEvent) => void = () => {}
  const waiting: { holds(): boolean; done(): void }[] = []
  const calls: string[] = []
  const settle = () => {
    for (const wait of waiting.splice(0))
      if (wait.holds()) wait.done()
      else waiting.push(wait)
  }
  const set = (type: WatchEvent['type'], object: StoredObject) => {
    revision++
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } }
    current = type === 'DELETED' ? undefined : stored
    send({ type, object: stored })
    settle()
    return stored
  }
  const client = {
    list: async () => ({
      apiVersion: 'v1',
      kind: 'PodList',
      metadata: { resourceVersion: String(revision) },
      items: current ? [current] : [],
    }),
    async *watch(_ref: unknown, { signal, sendInitialEvents }: { signal?: AbortSignal; sendInitialEvents?: boolean }) {
      const events: WatchEvent[] = []
      let wake = () => {}
      send = (event) => {
        events.push(event)
        wake()
      }
      if (sendInitialEvents) {
        if (current) events.push({ type: 'ADDED', object: current })
        const annotations = { 'k8s.io/initial-events-end': 'true' }
        events.push({
          type: 'BOOKMARK',
          object: { apiVersion: 'v1', kind: 'Pod', metadata: { resourceVersion: '1', annotations } },
        })
      }
      signal?.addEventListener('abort', () => wake())
      while (!signal?.aborted) {
        const next = events.shift()
        if (next) yield next
        else
          await new Promise<void>((resolve) => {
            wake = resolve
          })
      }
    },
    async patch(_ref: unknown, _name: string, _namespace: string, _type: string, patch: { value: any }[]) {
      calls.push('status')
      return set('MODIFIED', { ...current!, status: patch.at(-1)!.value })
    },
    async delete() {
      calls.push('delete')
      set('DELETED', current!)
    },
  } as unknown as Client
  return {
    client,
    calls,
    set,
    current: () => current,
    until: (holds: () => boolean) =>
      new Promise<void>((done) => {
        waiting.push({ holds, done })
        settle()
      }),
  }
}

async function open(server: ReturnType<typeof fakeServer>, driver = createFakeDriver('Pod', 'here')) {
  const informers = createInformerFactory({ client: server.client, clock: realClock, log: silentLogger })
  const host = createHost({
    client: server.client,
    informers,
    clock: realClock,
    log: silentLogger,
    nodeName: 'here',
    drivers: [podHosting(driver)],
  })
  await host.start()
  return {
    driver,
    async close() {
      informers.stop()
      await host.stop()
    },
  }
}

test('a Pod of this node is run and told of; a deleted one is released when it has stopped', async () => {
  const server = fakeServer()
  const { driver, close } = await open(server)
  server.set('ADDED', pod('one'))
  await server.until(() => server.current()?.status?.phase === 'Running')
  assert.deepEqual(driver.running(), ['one'])
  server.set('MODIFIED', {
    ...server.current()!,
    metadata: { ...server.current()!.metadata, deletionTimestamp: 'now' },
  })
  await server.until(() => server.current() === undefined)
  assert.deepEqual(driver.running(), [])
  assert.deepEqual(server.calls, ['status', 'delete'])
  await close()
})

test('another object of the same name replaces what ran under it', async () => {
  const server = fakeServer()
  const { driver, close } = await open(server)
  server.set('ADDED', pod('one'))
  await server.until(() => server.current()?.status?.phase === 'Running')
  server.set('DELETED', server.current()!)
  server.set('ADDED', pod('two'))
  await server.until(() => server.current()?.status?.phase === 'Running')
  assert.deepEqual(driver.running(), ['two'])
  await close()
})

test('what runs without an object is removed at the start', async () => {
  const driver = createFakeDriver('Pod', 'here')
  await driver.sync(pod('forgotten', { name: 'old' }))
  const server = fakeServer()
  const { close } = await open(server, driver)
  assert.deepEqual(driver.running(), [])
  await close()
})

test('a Pod of another node is left alone', async () => {
  const server = fakeServer()
  const { driver, close } = await open(server)
  server.set('ADDED', { ...pod('far'), spec: { nodeName: 'there', containers: [] } })
  server.set('MODIFIED', pod('near'))
  await server.until(() => server.current()?.status?.phase === 'Running')
  assert.deepEqual(driver.running(), ['near'])
  await close()
})

test('a deleted Pod that somebody else’s finalizer keeps is removed from the machine once, and left alone', async () => {
  const server = fakeServer()
  server.client.delete = (async () => void server.calls.push('delete')) as unknown as Client['delete']
  const { driver, close } = await open(server)
  server.set('ADDED', pod('held', { finalizers: ['example.com/held'] }))
  await server.until(() => server.current()?.status?.phase === 'Running')
  const { metadata } = server.current()!
  server.set('MODIFIED', { ...server.current()!, metadata: { ...metadata, deletionTimestamp: 'now' } })
  while (!server.calls.includes('delete')) await new Promise((resolve) => setImmediate(resolve))
  server.set('MODIFIED', server.current()!)
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(driver.running(), [])
  assert.deepEqual(server.calls.filter((call) => call === 'delete').length, 1)
  await close()
})
