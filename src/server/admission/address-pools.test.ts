// Addresses from more than one range.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAddressPools, toAddress, toNumber } from './address-pools.ts'

test('a range that is added can be asked for, and is used when the first one is full', () => {
  const pools = createAddressPools('10.0.0.0/30')
  const wanted = toNumber('203.0.113.10')
  assert.equal(pools.take(wanted, 'a'), 'outside')
  pools.extend(['203.0.113.0/28'], [])
  assert.equal(pools.take(wanted, 'a'), 'ok')
  assert.equal(pools.take(wanted, 'b'), 'taken')
  assert.deepEqual([pools.next('x'), pools.next('y')].map((number) => toAddress(number!)).sort(), [
    '10.0.0.1',
    '10.0.0.2',
  ])
  assert.match(toAddress(pools.next('z')!), /^203\.0\.113\./)
  pools.release(wanted, 'a')
  assert.equal(pools.take(wanted, 'b'), 'ok')
})

test('what is held when a range comes stays held, and overlapping ranges know of each other', () => {
  const pools = createAddressPools('10.0.0.0/24')
  const number = toNumber('10.0.0.9')
  assert.equal(pools.take(number, 'a'), 'ok')
  pools.extend(['10.0.0.0/28'], [[number, 'a']])
  assert.equal(pools.take(number, 'b'), 'taken')
  pools.extend([], [])
  assert.equal(pools.take(number, 'b'), 'taken')
})
