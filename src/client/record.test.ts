import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiRequest } from '../api/exchange.ts'
import type { StoredObject } from '../api/meta.ts'
import { FakeClock } from '../base/clock.ts'
import { createClient } from './client.ts'
import { createRecorder } from './record.ts'

const pod: StoredObject = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'shop', uid: 'u1', resourceVersion: '7', creationTimestamp: '' },
}

function start(lost: () => boolean = () => false) {
  const writes: { method: string; path: string; body: any }[] = []
  const clock = new FakeClock()
  const client = createClient(async ({ method, path, body }: ApiRequest) => {
    writes.push({ method, path, body })
    if (method === 'PATCH' && lost())
      return { status: 404, object: { kind: 'Status', reason: 'NotFound', message: 'gone', code: 404 } }
    return { status: 200, object: (body as object) ?? {} }
  })
  return { writes, clock, ...createRecorder({ client, component: 'kubelet', host: 'n1', clock }) }
}

test('an Event names its object, its source and its time', async () => {
  const { writes, record, flush } = start()
  record(pod, 'Warning', 'Failed', 'no image', 'spec.containers{web}')
  await flush()
  const [{ method, path, body }] = writes as any
  assert.deepEqual([method, path], ['POST', '/api/v1/namespaces/shop/events'])
  assert.match(body.metadata.name, /^web\.[0-9a-f]{15,16}$/)
  const { metadata, ...event } = body
  assert.deepEqual(event, {
    apiVersion: 'v1',
    kind: 'Event',
    involvedObject: {
      apiVersion: 'v1',
      kind: 'Pod',
      namespace: 'shop',
      name: 'web',
      uid: 'u1',
      resourceVersion: '7',
      fieldPath: 'spec.containers{web}',
    },
    reason: 'Failed',
    message: 'no image',
    type: 'Warning',
    source: { component: 'kubelet', host: 'n1' },
    reportingComponent: 'kubelet',
    reportingInstance: 'n1',
    firstTimestamp: '2026-01-01T00:00:00Z',
    lastTimestamp: '2026-01-01T00:00:00Z',
    count: 1,
  })
})

test('the same again raises its count; after it was removed it is made anew with what is known', async () => {
  let isLost = false
  const { writes, clock, record, flush } = start(() => isLost)
  record(pod, 'Normal', 'Pulled', 'image there')
  await clock.advance(3000)
  record(pod, 'Normal', 'Pulled', 'image there')
  await flush()
  assert.deepEqual(
    writes.map(({ method, body }) => [method, body.count, body.lastTimestamp]),
    [
      ['POST', 1, '2026-01-01T00:00:00Z'],
      ['PATCH', 2, '2026-01-01T00:00:03Z'],
    ],
  )
  isLost = true
  record(pod, 'Normal', 'Pulled', 'image there')
  await flush()
  assert.deepEqual(
    [writes[3]!.method, writes[3]!.body.count, writes[3]!.body.firstTimestamp],
    ['POST', 3, '2026-01-01T00:00:00Z'],
  )
})

test('many that differ only in their message become one', async () => {
  const { writes, record, flush } = start()
  for (let index = 0; index < 12; index++) record(pod, 'Warning', 'Unhealthy', `try ${index}`)
  await flush()
  assert.equal(writes.filter(({ method }) => method === 'POST').length, 10)
  assert.equal(writes.at(-1)!.body.message, '(combined from similar events): try 11')
})

test('a flood about one object is cut, and goes on slowly', async () => {
  const { writes, clock, record, flush } = start()
  for (let index = 0; index < 40; index++) record(pod, 'Normal', `Reason${index}`, 'text')
  await flush()
  assert.equal(writes.length, 25)
  await clock.advance(300_000)
  record(pod, 'Normal', 'Later', 'text')
  record(pod, 'Normal', 'TooMuch', 'text')
  await flush()
  assert.equal(writes.length, 26)
})
