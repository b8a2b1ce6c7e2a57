// A kind whose objects are stored as another one: Events of events.k8s.io and of the core group are the same objects.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newEvent } from '../kinds/events/event.ts'
import { patchType, startServer, take } from './server.fixture.ts'

const core = '/api/v1/namespaces/default/events'
const newer = '/apis/events.k8s.io/v1/namespaces/default/events'

test('an Event written through one group is read, changed, watched and removed through the other', async () => {
  const { ok, call } = await startServer()
  const made = await ok('POST', newer, newEvent.example)
  assert.deepEqual(
    [made.apiVersion, made.note, made.regarding.name],
    ['events.k8s.io/v1', 'Started container web', 'web'],
  )
  const seen = await ok('GET', `${core}/web.1`)
  assert.deepEqual(
    [seen.apiVersion, seen.message, seen.involvedObject.name, seen.reportingComponent, seen.note],
    ['v1', 'Started container web', 'web', 'example.com/controller', undefined],
  )
  const watch = await call('GET', `${newer}?watch=true&resourceVersion=${made.metadata.resourceVersion}`)
  const series = { count: 2, lastObservedTime: '2026-01-01T00:01:00.000000Z' }
  await ok('PATCH', `${core}/web.1`, JSON.stringify({ series }), patchType('merge'))
  const [change] = await take(watch, 1)
  assert.deepEqual([change!.object.apiVersion, change!.object.series], ['events.k8s.io/v1', series])
  const list = await ok('GET', `${newer}?fieldSelector=regarding.name=web`)
  assert.equal(list.items.length, 1)
  await ok('DELETE', `${newer}/web.1`)
  assert.equal((await ok('GET', core)).items.length, 0)
})

test('the rules of the newer group are stricter', async () => {
  const { ok, refused } = await startServer()
  const { eventTime: _, ...timeless } = newEvent.example
  assert.match(await refused(422, 'POST', newer, timeless), /eventTime: Required value/)
  await ok('POST', newer, newEvent.example)
  const patch = JSON.stringify({ reason: 'Other' })
  assert.match(await refused(422, 'PATCH', `${newer}/web.1`, patch, patchType('merge')), /reason: Invalid value/)
})
