import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { backends, endpointsObject, planSlices } from './endpoint-plan.ts'
import { object, ready } from './sample.fixture.ts'

const service = (spec: Record<string, unknown> = {}): StoredObject =>
  object('Service', 'web', {
    spec: { clusterIP: '10.96.0.9', selector: { app: 'web' }, ports: [{ port: 80, targetPort: 'http' }], ...spec },
  })

const pod = (name: string, ip: string | undefined, fields: Record<string, any> = {}): StoredObject =>
  object('Pod', name, {
    spec: { nodeName: 'n1', containers: [{ ports: [{ name: 'http', containerPort: 8080 }] }], ...fields.spec },
    status: { phase: 'Running', podIP: ip, conditions: [ready(fields.ready ?? true)], ...fields.status },
    metadata: { labels: { app: 'web' }, ...fields.metadata },
  })

const machine = (ip: string): StoredObject =>
  object('VirtualMachineInstance', 'db', {
    metadata: { labels: { app: 'web' } },
    spec: { domain: { devices: { interfaces: [{ name: 'default' }] } } },
    status: { phase: 'Running', nodeName: 'n1', interfaces: [{ ipAddress: ip }], conditions: [ready()] },
  })

const view = (found: ReturnType<typeof backends>) =>
  found.map(({ address, ready, ports }) => `${address} ${ready ? 'ready' : 'not'} ${ports.map((each) => each.port)}`)

test('Pods and machines alike; named ports are per workload', () => {
  const workloads = [
    pod('a', '10.0.0.1'),
    pod('b', '10.0.0.2', { spec: { containers: [{ ports: [{ name: 'http', containerPort: 9090 }] }] } }),
    pod('unready', '10.0.0.3', { ready: false }),
    pod('no-address', undefined),
    pod('done', '10.0.0.4', { status: { phase: 'Succeeded', podIP: '10.0.0.4' } }),
    pod('leaving', '10.0.0.5', { metadata: { labels: { app: 'web' }, deletionTimestamp: 'x' } }),
    pod('other', '10.0.0.6', { metadata: { labels: { app: 'db' } } }),
    machine('10.0.0.7'),
  ]
  assert.deepEqual(view(backends(service(), workloads)).sort(), [
    '10.0.0.1 ready 8080',
    '10.0.0.2 ready 9090',
    '10.0.0.3 not 8080',
    '10.0.0.5 not 8080',
    // A machine has no port of that name.
    '10.0.0.7 ready ',
  ])
  const numeric = service({ ports: [{ port: 5432 }] })
  assert.deepEqual(view(backends(numeric, [machine('10.0.0.7')])), ['10.0.0.7 ready 5432'])
  const early = service({ publishNotReadyAddresses: true })
  assert.deepEqual(view(backends(early, [workloads[2]!])), ['10.0.0.3 ready 8080'])
})

const stored = (slice: any, name: string): StoredObject => ({
  ...slice,
  metadata: { ...slice.metadata, name, uid: name, resourceVersion: '1', creationTimestamp: '' },
})

test('slices: one per set of ports, at most a hundred endpoints, changed as little as possible', () => {
  const pods = Array.from({ length: 150 }, (_, index) => pod(`p${index}`, `10.0.1.${index}`))
  const first = planSlices(service(), backends(service(), pods), [])
  assert.deepEqual(
    first.create.map((slice) => slice.endpoints.length),
    [100, 50],
  )
  assert.equal(first.create[0]!.metadata.labels!['kubernetes.io/service-name'], 'web')
  const existing = first.create.map((slice, index) => stored(slice, `web-${index}`))
  const same = planSlices(service(), backends(service(), pods), existing)
  // Labels of an existing slice are those of the Service.
  assert.deepEqual([same.create.length, same.update.length, same.delete.length], [0, 0, 0])
  const fewer = planSlices(service(), backends(service(), pods.slice(1)), existing)
  assert.deepEqual([fewer.create.length, fewer.update.length, fewer.delete.length], [0, 1, 0])
  const none = planSlices(service(), [], existing)
  assert.deepEqual([none.create.length, none.delete.length], [1, 2])
  assert.deepEqual(none.create[0]!.endpoints, [])
  const placeholder = stored(none.create[0], 'web-x')
  assert.deepEqual(planSlices(service(), [], [placeholder]), { create: [], update: [], delete: [] })
})

test('a machine is selected by the labels of its virt-launcher Pod, as virtctl expose does', () => {
  const exposed = service({ selector: { 'vmi.kubevirt.io/id': 'db' } })
  assert.deepEqual(view(backends(exposed, [machine('10.0.0.7'), pod('db', '10.0.0.1')])).length, 1)
})

test('a headless Service is marked, and needs no ports', () => {
  const headless = service({ clusterIP: 'None', ports: undefined })
  const plan = planSlices(headless, backends(headless, [pod('a', '10.0.0.1')]), [])
  assert.equal(plan.create[0]!.metadata.labels!['service.kubernetes.io/headless'], '')
  assert.equal(plan.create[0]!.endpoints.length, 1)
})

test('a Pod of a StatefulSet-like name is found by its hostname', () => {
  const [found] = backends(service(), [
    pod('a', '10.0.0.1', { spec: { nodeName: 'n1', hostname: 'web-0', subdomain: 'web' } }),
  ])
  assert.equal(found!.hostname, 'web-0')
})

test('Endpoints group addresses by ports and keep those apart that are not ready', () => {
  const made = endpointsObject(
    service(),
    backends(service(), [pod('a', '10.0.0.1'), pod('b', '10.0.0.2', { ready: false })]),
  )
  assert.equal(made.subsets.length, 1)
  assert.deepEqual(
    made.subsets[0].addresses.map((each: any) => each.ip),
    ['10.0.0.1'],
  )
  assert.deepEqual(
    made.subsets[0].notReadyAddresses.map((each: any) => each.ip),
    ['10.0.0.2'],
  )
  assert.deepEqual(made.subsets[0].ports, [{ port: 8080, protocol: 'TCP' }])
})
