// A Service keeps what the server gave it, and its rules.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiObject } from '../../api/meta.ts'
import { tableRow } from '../../api/table.ts'
import { service } from './service.ts'

const serviceOf = (spec: object): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'default', creationTimestamp: '2026-01-01T00:00:00Z' },
  spec,
})
const port = { port: 80, protocol: 'TCP' }
const wrong = (spec: object, old?: object) =>
  service.validate!(serviceOf(spec), old && serviceOf(old)).map(({ field }) => field)

function updated(spec: object, old: object): any {
  const object = serviceOf(structuredClone(spec))
  service.prepareUpdate!(object, serviceOf(old))
  return object.spec
}

test('an update that leaves out addresses and node ports keeps them', () => {
  const old = {
    type: 'NodePort',
    clusterIP: '10.0.0.7',
    clusterIPs: ['10.0.0.7'],
    ports: [{ ...port, nodePort: 30080 }],
  }
  assert.deepEqual(updated({ type: 'NodePort', ports: [port] }, old), old)
})

test('a Service that is no longer reachable from outside gives its node ports back', () => {
  const old = { type: 'NodePort', ports: [{ ...port, nodePort: 30080 }], externalTrafficPolicy: 'Cluster' }
  assert.deepEqual(updated({ ...old, type: 'ClusterIP' }, old), { type: 'ClusterIP', ports: [port] })
})

test('what is wrong is said by field', () => {
  assert.deepEqual(wrong({ type: 'ClusterIP', ports: [port] }), [])
  assert.deepEqual(wrong({ type: 'ClusterIP' }), ['spec.ports'])
  assert.deepEqual(wrong({ type: 'ClusterIP', clusterIP: 'None' }), [])
  assert.deepEqual(wrong({ type: 'NodePort', clusterIP: 'None', ports: [port] }), ['spec.clusterIPs[0]'])
  assert.deepEqual(wrong({ type: 'ExternalName' }), ['spec.externalName'])
  assert.deepEqual(wrong({ type: 'ClusterIP', ports: [{ ...port, nodePort: 30080 }] }), ['spec.ports[0].nodePort'])
  const balancer = { type: 'LoadBalancer', ports: [port], loadBalancerClass: 'example.com/x' }
  assert.deepEqual(wrong(balancer), [])
  assert.deepEqual(wrong({ ...balancer, type: 'ClusterIP' }), ['spec.loadBalancerClass'])
  assert.deepEqual(wrong({ ...balancer, loadBalancerClass: 'example.com/y' }, balancer), ['spec.loadBalancerClass'])
  assert.deepEqual(wrong({ type: 'ClusterIP', ports: [port], externalIPs: ['127.0.0.1', '192.0.2.7'] }), [
    'spec.externalIPs[0]',
  ])
  const affinity = { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 86_401 } } }
  assert.deepEqual(wrong({ type: 'ClusterIP', ports: [port], ...affinity }), [
    'spec.sessionAffinityConfig.clientIP.timeoutSeconds',
  ])
  const old = { type: 'ClusterIP', clusterIP: '10.0.0.7', clusterIPs: ['10.0.0.7'], ports: [port] }
  assert.deepEqual(wrong({ ...old, clusterIPs: ['10.0.0.8'] }, old), ['spec.clusterIPs[0]'])
})

test('columns of a load balancer that nobody made', () => {
  const spec = {
    type: 'LoadBalancer',
    clusterIPs: ['10.0.0.7'],
    ports: [{ ...port, nodePort: 30080 }],
    selector: { b: '2', a: '1' },
  }
  const { cells } = tableRow(serviceOf(spec), service.columns, { now: Date.parse('2026-01-01T00:00:05Z') })
  assert.deepEqual(cells, ['web', 'LoadBalancer', '10.0.0.7', '<pending>', '80:30080/TCP', '5s', 'a=1,b=2'])
})

test('what only a load balancer has goes with the type', () => {
  const old = {
    type: 'LoadBalancer',
    ports: [{ ...port, nodePort: 30080 }],
    externalTrafficPolicy: 'Local',
    healthCheckNodePort: 30081,
    allocateLoadBalancerNodePorts: true,
    loadBalancerClass: 'example.com/x',
  }
  assert.deepEqual(updated({ ...old, type: 'ClusterIP' }, old), { type: 'ClusterIP', ports: [port] })
  assert.equal(updated({ ...old, healthCheckNodePort: undefined }, old).healthCheckNodePort, 30081)
  const object = {
    ...serviceOf({ ...old, type: 'ClusterIP' }),
    status: { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } },
  }
  service.prepareUpdate!(object, serviceOf(old))
  assert.deepEqual(object.status, { loadBalancer: {} })
})

test('a status may name the balancer of a load balancer only', () => {
  const status = { loadBalancer: { ingress: [{ ip: '192.0.2.1', ipMode: 'VIP' }] } }
  const fields = (type: string) =>
    service.validate!({ ...serviceOf({ type, ports: [port] }), status }, undefined, 'status').map(({ field }) => field)
  assert.deepEqual(fields('LoadBalancer'), [])
  assert.deepEqual(fields('NodePort'), ['status.loadBalancer.ingress'])
})
