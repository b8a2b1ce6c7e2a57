// Who gets a port of the machine, and that a load balancer holds its address until it is none any more.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { startTestPlatform } from './platform.fixture.ts'
import { services } from './resources.ts'
import { conflictOf } from './service-load-balancer.ts'

const balancer = (name: string, at: string, port = 80, fields: object = {}): StoredObject =>
  ({
    metadata: { name, namespace: 'default', uid: name, creationTimestamp: at },
    spec: { type: 'LoadBalancer', ports: [{ port }], ...fields },
  }) as unknown as StoredObject

test('the older of two load balancers has the port', () => {
  const old = balancer('old', '2026-01-01T00:00:00Z')
  const young = balancer('young', '2026-01-02T00:00:00Z')
  const all = [young, old, balancer('other', '2025-01-01T00:00:00Z', 81)]
  assert.equal(conflictOf(old, all), undefined)
  assert.deepEqual(conflictOf(young, all), { port: 'TCP/80', holder: 'default/old' })
  const classed = balancer('classed', '2025-01-01T00:00:00Z', 80, { loadBalancerClass: 'example.com/x' })
  assert.equal(conflictOf(old, [classed]), undefined)
})

test('status, finalizer, and both gone with the type', async () => {
  const platform = await startTestPlatform()
  try {
    const spec = { type: 'LoadBalancer', ports: [{ port: 80 }] }
    const metadata = { name: 'web', namespace: 'default' }
    await platform.client.create(services, { apiVersion: 'v1', kind: 'Service', metadata, spec })
    const shown = await platform.until(services, 'default/web', (service) =>
      Boolean(service?.status?.loadBalancer?.ingress?.length),
    )
    assert.deepEqual(shown.status.loadBalancer.ingress, [{ ip: '192.0.2.10', ipMode: 'VIP' }])
    assert.deepEqual(shown.metadata.finalizers, ['service.kubernetes.io/load-balancer-cleanup'])
    await platform.client.patch(services, 'web', 'default', 'merge', { spec: { type: 'ClusterIP' } })
    const left = await platform.until(services, 'default/web', (service) => !service?.metadata.finalizers?.length)
    assert.deepEqual(left.status.loadBalancer, {})
    await platform.client.patch(services, 'web', 'default', 'merge', { spec: { type: 'LoadBalancer' } })
    await platform.until(services, 'default/web', (service) => Boolean(service?.metadata.finalizers?.length))
    await platform.client.delete(services, 'web', 'default')
    await platform.until(services, 'default/web', (service) => service === undefined)
    assert.deepEqual(platform.complaints, [])
  } finally {
    await platform.stop()
  }
})
