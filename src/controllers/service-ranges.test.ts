// When a range of ClusterIPs may go.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { mayGo } from './service-ranges.ts'

const cidr = (name: string, cidrs: string[], more: object = {}): StoredObject =>
  ({ metadata: { name, ...more }, spec: { cidrs } }) as unknown as StoredObject
const address = (name: string, by = 'ipallocator.k8s.io'): StoredObject =>
  ({ metadata: { name, labels: { 'ipaddress.kubernetes.io/managed-by': by } } }) as unknown as StoredObject

test('a range that addresses are from stays until another one holds them', () => {
  const own = cidr('more', ['10.44.0.0/16'])
  const ask = (others: StoredObject[], ...addresses: StoredObject[]) => mayGo(own, [own, ...others], addresses)
  assert.ok(ask([], address('10.45.0.1')))
  assert.ok(!ask([], address('10.44.0.1')))
  assert.ok(ask([], address('10.44.0.1', 'somebody')), 'an address that nobody was given here holds nothing')
  assert.ok(ask([cidr('same', ['10.44.0.0/16'])], address('10.44.0.1')))
  assert.ok(ask([cidr('larger', ['10.40.0.0/12'])], address('10.44.0.1')))
  assert.ok(ask([cidr('part', ['10.44.0.0/24'])], address('10.44.0.1')))
  assert.ok(!ask([cidr('part', ['10.44.0.0/24'])], address('10.44.1.1')))
  assert.ok(!ask([cidr('leaving', ['10.44.0.0/16'], { deletionTimestamp: 'now' })], address('10.44.0.1')))
})

test('both families count', () => {
  const own = cidr('dual', ['10.44.0.0/16', 'fd00::/112'])
  const larger = cidr('larger', ['10.44.0.0/16'])
  assert.ok(!mayGo(own, [own, larger], [address('fd00::1')]))
  assert.ok(mayGo(own, [own, larger], [address('10.44.0.1')]))
})
