// What load balancers elsewhere hear, and ports that a Service may not take.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../../api/meta.ts'
import { answerOf, healthCheckOf } from './health-checks.ts'
import { portsIn, withoutListeners } from './listeners.ts'
import type { ServicePort } from './ruleset.ts'

const service = (spec: object) => ({ metadata: { name: 'web', namespace: 'default' }, spec }) as unknown as StoredObject
const slice = (endpoints: object[]) => ({ endpoints }) as unknown as StoredObject
const local = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 30999 }

test('a node with endpoints of the Service is healthy, one without is not', () => {
  const endpoints = [
    { addresses: ['10.42.0.5'], nodeName: 'n1' },
    { addresses: ['10.42.0.6'], nodeName: 'n1', conditions: { ready: false } },
    { addresses: ['192.0.2.7'], nodeName: 'n2' },
  ]
  const [port, check] = healthCheckOf(service(local), [slice(endpoints)], 'n1')!
  assert.deepEqual([port, check.localEndpoints, answerOf(check).status], [30999, 1, 200])
  assert.equal(answerOf(healthCheckOf(service(local), [], 'n1')![1]).status, 503)
  assert.equal(healthCheckOf(service({ ...local, externalTrafficPolicy: 'Cluster' }), [], 'n1'), undefined)
})

test('listening ports of /proc/net/tcp, but for those of loopback', () => {
  const text = `  sl  local_address rem_address   st
   0: 00000000:0016 00000000:0000 0A 0
   1: 0100007F:0CEA 00000000:0000 0A 0
   2: 0202000A:1F90 0302000A:D431 01 0`
  assert.deepEqual([...portsIn(text, '0A')], [22])
})

test('a load balancer does not take a port from a program of the machine', () => {
  const ssh: ServicePort = {
    key: 'default/ssh',
    protocol: 'TCP',
    port: 22,
    addresses: ['10.43.0.9', '192.0.2.2'],
    endpoints: [],
  }
  const machine = { addresses: () => new Set(['192.0.2.2']), listeners: () => new Set(['tcp/22']) }
  const { kept, refused } = withoutListeners([ssh, { ...ssh, port: 23 }], machine)
  assert.deepEqual(
    kept.map(({ addresses }) => addresses),
    [['10.43.0.9'], ['10.43.0.9', '192.0.2.2']],
  )
  assert.match(refused[0]!, /^port 22 of 192.0.2.2 is not given to the Service default\/ssh/)
})
