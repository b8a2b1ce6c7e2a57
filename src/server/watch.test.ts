// Lists and watches: pages, revisions, selectors, history, bookmarks, forms.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configMap, maps, patchType, startServer, take, told } from './server.fixture.ts'

test('pages of a list are one moment', async () => {
  const { ok } = await startServer()
  for (const name of ['a', 'b', 'c', 'd', 'e']) await ok('POST', maps, configMap(name))
  const first = await ok('GET', `${maps}?limit=2`)
  assert.equal(first.metadata.remainingItemCount, 3)
  await ok('POST', maps, configMap('aa'))
  await ok('DELETE', `${maps}/d`)
  const second = await ok('GET', `${maps}?limit=2&continue=${first.metadata.continue}`)
  assert.equal(second.metadata.remainingItemCount, 1)
  assert.equal(second.metadata.resourceVersion, first.metadata.resourceVersion)
  const third = await ok('GET', `${maps}?limit=2&continue=${second.metadata.continue}`)
  const names = [first, second, third].flatMap((page) => page.items.map((item: any) => item.metadata.name))
  assert.deepEqual(names, ['a', 'b', 'c', 'd', 'e'])
  assert.equal(third.metadata.continue, undefined)
})

test('the JSON text of a list says the same as its object; built-in items leave their kind to the list', async () => {
  const { ok, call } = await startServer()
  await ok('POST', maps, configMap('a', { k: 'v' }))
  const response = await call('GET', maps)
  const { items, ...list } = response.object as any
  const shown = items.map(({ kind: _, apiVersion: __, ...item }: any) => item)
  assert.deepEqual(JSON.parse(response.json!), { ...list, items: shown })
})

test('a page with a selector is full even when few match', async () => {
  const { ok } = await startServer()
  for (let i = 0; i < 30; i++)
    await ok('POST', maps, configMap(`m${String(i).padStart(2, '0')}`, {}, { pick: String(i % 10 === 0) }))
  const page = await ok('GET', `${maps}?limit=2&labelSelector=pick=true`)
  assert.deepEqual(
    page.items.map((item: any) => item.metadata.name),
    ['m00', 'm10'],
  )
  const rest = await ok('GET', `${maps}?limit=2&labelSelector=pick=true&continue=${page.metadata.continue}`)
  assert.deepEqual(
    rest.items.map((item: any) => item.metadata.name),
    ['m20'],
  )
})

test('meanings of resourceVersion', async () => {
  const { ok, refused, store } = await startServer()
  const a = await ok('POST', maps, configMap('a'))
  await ok('POST', maps, configMap('b'))
  const exact = await ok('GET', `${maps}?resourceVersion=${a.metadata.resourceVersion}&resourceVersionMatch=Exact`)
  assert.equal(exact.items.length, 1)
  assert.equal((await ok('GET', `${maps}?resourceVersion=${a.metadata.resourceVersion}`)).items.length, 2)
  assert.equal(
    await refused(504, 'GET', `${maps}?resourceVersion=99999`),
    `Too large resource version: 99999, current: ${store.revision()}`,
  )
  assert.match(
    await refused(422, 'GET', `${maps}?resourceVersionMatch=Exact`),
    /resourceVersionMatch is forbidden unless resourceVersion is provided/,
  )
  await refused(400, 'GET', `${maps}?continue=nonsense`)
  await store.compact(store.revision())
  assert.match(
    await refused(410, 'GET', `${maps}?resourceVersion=${a.metadata.resourceVersion}&resourceVersionMatch=Exact`),
    /too old/,
  )
})

test('a list whose revision is forgotten goes on with what is there, and counts it', async () => {
  const { ok, call, store } = await startServer()
  for (const name of ['a', 'b', 'c', 'd']) await ok('POST', maps, configMap(name))
  const first = await ok('GET', `${maps}?limit=1`)
  await ok('POST', maps, configMap('e'))
  await store.compact(store.revision())
  const expired = await call('GET', `${maps}?limit=1&continue=${first.metadata.continue}`)
  assert.equal(expired.status, 410)
  const second = await ok('GET', `${maps}?limit=1&continue=${(expired.object as any).metadata.continue}`)
  assert.equal(second.items[0].metadata.name, 'b')
  assert.equal(second.metadata.remainingItemCount, 3)
  const third = await ok('GET', `${maps}?limit=1&continue=${second.metadata.continue}`)
  assert.equal(third.metadata.remainingItemCount, 2)
})

test('a continue token cannot point outside its own list', async () => {
  const { refused } = await startServer()
  const token = Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: 1, start: '/registry/core/secrets/' })).toString(
    'base64url',
  )
  assert.match(await refused(400, 'GET', `${maps}?continue=${token}`), /continue key is not valid/)
})

test('a watch resumes from a revision and goes on', async () => {
  const { ok, call } = await startServer()
  const a = await ok('POST', maps, configMap('a'))
  await ok('POST', maps, configMap('b'))
  const response = await call('GET', `${maps}?watch=true&resourceVersion=${a.metadata.resourceVersion}`)
  const reading = take(response, 3)
  await ok('PATCH', `${maps}/b`, { data: { x: '1' } }, patchType('merge'))
  const deleted = await ok('DELETE', `${maps}/a`)
  assert.ok(deleted)
  const events = await reading
  assert.deepEqual(told(events), ['ADDED b', 'MODIFIED b', 'DELETED a'])
  assert.ok(Number(events[2]!.object.metadata.resourceVersion) > Number(events[1]!.object.metadata.resourceVersion))
})

test('objects that start or stop to match appear and vanish', async () => {
  const { ok, call, store } = await startServer()
  const response = await call('GET', `${maps}?watch=true&labelSelector=on=yes&resourceVersion=${store.revision()}`)
  const reading = take(response, 4)
  const label = (value: string) => ok('PATCH', `${maps}/a`, { metadata: { labels: { on: value } } }, patchType('merge'))
  await ok('POST', maps, configMap('a', {}, { on: 'no' }))
  await label('yes')
  await ok('PATCH', `${maps}/a`, { data: { x: '1' } }, patchType('merge'))
  const off = await label('no')
  await label('yes')
  const events = await reading
  assert.deepEqual(told(events), ['ADDED a', 'MODIFIED a', 'DELETED a', 'ADDED a'])
  assert.equal(events[2]!.object.metadata.labels.on, 'yes', 'the last state that matched')
  assert.equal(events[2]!.object.metadata.resourceVersion, off.metadata.resourceVersion)
})

test('a field selector watches one object', async () => {
  const { ok, call, store } = await startServer()
  const response = await call(
    'GET',
    `${maps}?watch=true&fieldSelector=metadata.name=b&resourceVersion=${store.revision()}`,
  )
  const reading = take(response, 1)
  await ok('POST', maps, configMap('a'))
  await ok('POST', maps, configMap('b'))
  assert.deepEqual(told(await reading), ['ADDED b'])
})

test('initial events end with the annotated bookmark', async () => {
  const { ok, call } = await startServer()
  await ok('POST', maps, configMap('a'))
  const query = 'watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true'
  const reading = take(await call('GET', `${maps}?${query}`), 3)
  await ok('POST', maps, configMap('b'))
  const events = await reading
  assert.deepEqual(
    events.map((event) => event.type),
    ['ADDED', 'BOOKMARK', 'ADDED'],
  )
  assert.equal(events[1]!.object.metadata.annotations['k8s.io/initial-events-end'], 'true')
  assert.equal(events[1]!.object.kind, 'ConfigMap')
})

test('options of a watch that make no sense are refused', async () => {
  const { refused } = await startServer()
  assert.match(
    await refused(422, 'GET', `${maps}?watch=true&sendInitialEvents=true`),
    /sendInitialEvents requires setting resourceVersionMatch to NotOlderThan/,
  )
})

test('a watch from before the history gets one ERROR event', async () => {
  const { ok, call, store } = await startServer()
  for (const name of ['a', 'b', 'c']) await ok('POST', maps, configMap(name))
  await store.compact(store.revision())
  const [event] = await take(await call('GET', `${maps}?watch=true&resourceVersion=2`), 1)
  assert.equal(event!.type, 'ERROR')
  assert.deepEqual([event!.object.code, event!.object.reason], [410, 'Expired'])
  assert.equal(event!.object.message, `too old resource version: 2 (${store.compacted()})`)
})

test('a reader that falls behind loses its watch, and nobody else', async () => {
  const { ok, call, store } = await startServer()
  const slow = await call('GET', `${maps}?watch=true&resourceVersion=${store.revision()}`)
  const value = (revision: number) =>
    JSON.stringify({ ...configMap('a'), metadata: { name: 'a', resourceVersion: String(revision) } })
  for (let i = 0; i < 11; i++)
    await Promise.all(
      Array.from({ length: 1000 }, () => store.write({ key: '/registry/core/configmaps/default/a', value })),
    )
  let count = 0
  for await (const _ of slow.events!) count++
  assert.ok(count >= 10_000 && count <= 11_000, `${count} events, then the end`)
  await ok('GET', `${maps}/a`)
})

test('Tables and bare metadata for lists and watches', async () => {
  const { ok, call, store } = await startServer()
  await ok('POST', maps, configMap('a', { k: 'v' }))
  const table = { headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' } }
  const list = await ok('GET', maps, undefined, table)
  assert.deepEqual(
    [list.kind, list.columnDefinitions[0].name, list.rows[0].cells.slice(0, 2)],
    ['Table', 'Name', ['a', 1]],
  )
  assert.equal(list.rows[0].object.kind, 'PartialObjectMetadata')
  const meta = { headers: { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' } }
  const bare = await ok('GET', maps, undefined, meta)
  assert.deepEqual(
    [bare.kind, bare.items[0].kind, bare.items[0].data],
    ['PartialObjectMetadataList', 'PartialObjectMetadata', undefined],
  )
  const reading = take(await call('GET', `${maps}?watch=true&resourceVersion=${store.revision()}`, undefined, table), 2)
  await ok('POST', maps, configMap('b'))
  await ok('POST', maps, configMap('c'))
  const events = await reading
  assert.deepEqual(
    events.map((event) => [event.object.kind, event.object.rows[0].cells[0]]),
    [
      ['Table', 'b'],
      ['Table', 'c'],
    ],
  )
  assert.equal(events[1]!.object.columnDefinitions, null)
  assert.equal((await call('GET', maps, undefined, { headers: { accept: 'text/html' } })).status, 406)
})

test('a watch ends with its time, its client and the server', async () => {
  const { call, server } = await startServer()
  const ending = new AbortController()
  const byClient = take(
    await call('GET', `${maps}?watch=true&resourceVersion=1`, undefined, { signal: ending.signal }),
    99,
  )
  ending.abort()
  await byClient
  const byServer = take(await call('GET', `${maps}?watch=true&resourceVersion=1`), 99)
  server.stop()
  await byServer
})
