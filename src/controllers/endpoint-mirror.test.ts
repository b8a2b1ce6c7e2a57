// Hand-written Endpoints and the slices that mirror them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { isMirrored, planMirror } from './endpoint-mirror-plan.ts'
import { object } from './sample.fixture.ts'

const service = (selector?: object): StoredObject =>
  object('Service', 'db', { spec: { ...(selector && { selector }) } })
const endpoints = (subsets: object[], metadata: object = {}): StoredObject =>
  object('Endpoints', 'db', { subsets, metadata })
const stored = (slice: any, name: string): StoredObject => ({ ...slice, metadata: { ...slice.metadata, name } })
const http = [{ name: 'http', port: 80, protocol: 'TCP' }]

test('only Endpoints of a Service without selector are mirrored', () => {
  const written = endpoints([])
  assert.equal(isMirrored(written, service()), true)
  assert.equal(isMirrored(written, service({ app: 'db' })), false)
  assert.equal(isMirrored(written, undefined), false)
  const marked = endpoints([], { labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } })
  assert.equal(isMirrored(marked, service()), false)
})

test('one slice for each set of ports and family of addresses', () => {
  const written = endpoints(
    [
      {
        addresses: [{ ip: '10.1.2.3', hostname: 'a' }, { ip: 'fd00::1' }],
        notReadyAddresses: [{ ip: '10.1.2.4' }],
        ports: http,
      },
      { addresses: [{ ip: 'nonsense' }, { ip: '10.1.2.3' }], ports: [{ port: 81 }] },
    ],
    { labels: { app: 'db' }, annotations: { note: 'x', 'kubectl.kubernetes.io/last-applied-configuration': '{}' } },
  )
  const plan = planMirror(written, [])
  assert.equal(plan.invalid, 1)
  assert.deepEqual(
    plan.create.map(({ addressType, ports, endpoints: list }) => [addressType, ports[0].port, list.length]),
    [
      ['IPv4', 80, 2],
      ['IPv6', 80, 1],
      ['IPv4', 81, 1],
    ],
  )
  const { metadata, endpoints: list } = plan.create[0]!
  assert.deepEqual(metadata.annotations, { note: 'x' })
  assert.deepEqual(metadata.labels, {
    app: 'db',
    'kubernetes.io/service-name': 'db',
    'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io',
  })
  assert.deepEqual(list[0], { addresses: ['10.1.2.3'], conditions: { ready: true }, hostname: 'a' })
  assert.deepEqual(list[1].conditions, { ready: false })
})

test('a slice is changed, kept or removed as the Endpoints change', () => {
  const before = endpoints([{ addresses: [{ ip: '10.1.2.3' }], ports: http }])
  const slice = stored(planMirror(before, []).create[0], 'db-1')
  const same = planMirror(before, [slice])
  assert.deepEqual([same.create, same.update, same.delete], [[], [], []])
  const moved = planMirror(endpoints([{ addresses: [{ ip: '10.2.3.4' }], ports: http }]), [slice])
  assert.deepEqual(moved.update[0]!.endpoints[0].addresses, ['10.2.3.4'])
  assert.equal(moved.update[0]!.metadata.name, 'db-1')
  assert.deepEqual(planMirror(endpoints([]), [slice]).delete, [slice])
})

test('a thousand addresses of a subset, no more', () => {
  const addresses = Array.from({ length: 1001 }, (_, index) => ({ ip: `10.0.${index >> 8}.${index & 255}` }))
  const plan = planMirror(endpoints([{ addresses, ports: http }]), [])
  assert.equal(plan.skipped, 1)
  assert.equal(plan.create[0]!.endpoints.length, 1000)
})
