// Which workloads policies know, and when.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../../api/meta.ts'
import type { InformerFactory } from '../../client/informer.ts'
import { InformerCache } from '../../client/informer-cache.ts'
import { addressOf, followPolicies } from './policies.ts'

function cluster() {
  const caches = new Map<string, InformerCache<StoredObject>>()
  const cacheOf = (resource: string) => {
    const cache = caches.get(resource) ?? new InformerCache<StoredObject>((error) => assert.fail(String(error)))
    caches.set(resource, cache)
    return cache
  }
  let revision = 0
  const informers = {
    informer: ({ resource }: { resource: string }) => {
      const cache = cacheOf(resource)
      return {
        list: (namespace?: string) => cache.list(namespace),
        addHandler: (handler: never) => cache.addHandler(handler),
        synced: async () => {},
      }
    },
  } as unknown as InformerFactory
  return {
    informers,
    put: (resource: string, object: any) =>
      cacheOf(resource).put({ ...object, metadata: { ...object.metadata, resourceVersion: String(++revision) } }),
    drop: (resource: string, object: any) => cacheOf(resource).drop(object),
  }
}

const pod = (name: string, podIP?: string, fields: object = {}) =>
  ({
    kind: 'Pod',
    metadata: { name, namespace: 'default', uid: name, labels: { app: name } },
    spec: { containers: [] },
    status: { phase: 'Running', ...(podIP && { podIP }), ...fields },
  }) as unknown as StoredObject
const denyAll = {
  metadata: { name: 'deny', namespace: 'default', uid: 'deny' },
  spec: { podSelector: {}, policyTypes: ['Ingress'] },
}

test('without policies nothing is planned and nothing is told', () => {
  const { informers, put } = cluster()
  let told = 0
  const policies = followPolicies({ informers, dnsAddress: '10.43.0.10', changed: () => told++ })
  put('pods', pod('a', '10.42.0.2'))
  assert.equal(told, 0)
  assert.equal(policies.inUse(), false)
  assert.equal(policies.rules().elements.get('ingress')!.size, 0)
})

test('a workload counts from the moment it has its address, and no longer than it has it', () => {
  const { informers, put, drop } = cluster()
  const policies = followPolicies({ informers, dnsAddress: '10.43.0.10', changed: () => {} })
  put('networkpolicies', denyAll)
  const isolated = () => [...policies.rules().elements.get('ingress')!.keys()].sort()
  policies.expect(pod('a'), '10.42.0.2')
  assert.deepEqual(isolated(), ['10.42.0.2'])
  put('pods', pod('a'))
  assert.deepEqual(isolated(), ['10.42.0.2'], 'the API does not know it yet')
  put('pods', pod('a', '10.42.0.2'))
  assert.deepEqual(isolated(), ['10.42.0.2'])
  policies.expect(pod('a'), '10.42.0.3')
  put('pods', pod('a', '10.42.0.2', { note: 'late news of the old address' }))
  assert.ok(isolated().includes('10.42.0.3'))
  put('pods', pod('a', '10.42.0.3'))
  assert.deepEqual(isolated(), ['10.42.0.3'])
  put('pods', pod('a', '10.42.0.3', { phase: 'Succeeded' }))
  assert.deepEqual(isolated(), [])
  policies.expect(pod('b'), '10.42.0.4')
  put('pods', pod('b'))
  drop('pods', pod('b'))
  assert.deepEqual(isolated(), [])
})

test("what lives in the machine's own network has no address of its own", () => {
  assert.equal(addressOf({ ...pod('a', '192.0.2.1'), spec: { hostNetwork: true } } as StoredObject), undefined)
  assert.equal(addressOf(pod('a', 'fd00::1')), undefined)
  const machine = { kind: 'VirtualMachineInstance', status: { interfaces: [{ ipAddress: '10.42.128.1' }] } }
  assert.equal(addressOf(machine as unknown as StoredObject), '10.42.128.1')
})
