// Memory and processors derived from a spec.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guestMemory, overheadBytes, qosClass, topologyOf, translationCacheMiB } from './resources.ts'

const mebibyte = 1024 * 1024

test('guest memory: memory.guest, else the request, else the limit', () => {
  const resources = { requests: { memory: '256M' }, limits: { memory: '1Gi' } }
  assert.equal(guestMemory({ memory: { guest: '64Mi' }, resources }), 64 * mebibyte)
  assert.equal(guestMemory({ resources }), 244 * mebibyte)
  assert.equal(guestMemory({ resources: { limits: { memory: '1Gi' } } }), 1024 * mebibyte)
  assert.throws(() => guestMemory({}), /spec\.domain\.memory\.guest is not set/)
  assert.throws(() => guestMemory({ memory: { guest: '1k' } }), /less than 1Mi/)
  assert.throws(() => guestMemory({ memory: { guest: 'much' } }))
})

test('processors: domain.cpu, else as many sockets as the resources ask for', () => {
  assert.deepEqual(topologyOf({ cpu: { cores: 4 } }), { sockets: 1, cores: 4, threads: 1 })
  assert.deepEqual(topologyOf({ resources: { requests: { cpu: '1500m' } } }), { sockets: 2, cores: 1, threads: 1 })
  assert.deepEqual(topologyOf({ resources: { requests: { cpu: 1 }, limits: { cpu: 3 } } }), {
    sockets: 3,
    cores: 1,
    threads: 1,
  })
  assert.deepEqual(topologyOf({ cpu: { model: 'host-model' } }), { sockets: 1, cores: 1, threads: 1 })
  assert.throws(() => topologyOf({ cpu: { cores: 16, sockets: 16 } }), /more than 255/)
})

test('the cache of translated code grows with the guest, within bounds', () => {
  const sizes = [64, 256, 512, 1024, 8192].map((size) => translationCacheMiB(size * mebibyte))
  assert.deepEqual(sizes, [64, 128, 256, 512, 512])
})

test('overhead is far below what the guest has, and smaller with KVM', () => {
  const topology = { sockets: 2, cores: 1, threads: 1 }
  const [kvm, tcg] = [overheadBytes(1024 * mebibyte, topology, 'kvm'), overheadBytes(1024 * mebibyte, topology, 'tcg')]
  assert.equal(kvm, (192 + 2 + 16) * mebibyte)
  assert.ok(tcg > kvm && tcg < 1024 * mebibyte)
})

test('QoS class', () => {
  const both = { cpu: '1', memory: '1Gi' }
  assert.equal(qosClass({ resources: { requests: both, limits: both } }), 'Guaranteed')
  assert.equal(qosClass({ memory: { guest: '1Gi' } }), 'Burstable')
  assert.equal(qosClass({}), 'BestEffort')
})
