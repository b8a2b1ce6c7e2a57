import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  formatAddress,
  formatRange,
  halves,
  maskOf,
  nth,
  overlaps,
  parseAddress,
  parseRange,
  rangeOf,
} from './addresses.ts'

test('addresses survive a round trip, also above 2^31', () => {
  for (const text of ['0.0.0.0', '10.42.0.1', '192.168.255.254', '255.255.255.255'])
    assert.equal(formatAddress(parseAddress(text)!), text)
})

test('what is not an address is refused', () => {
  for (const text of ['', '10.0.0', '10.0.0.256', '10.0.0.1.2', 'a.b.c.d', '1.2.3.4/24', '::1'])
    assert.equal(parseAddress(text), undefined, text)
  for (const text of ['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/x', '10.0.0/8'])
    assert.equal(parseRange(text), undefined, text)
  assert.throws(() => rangeOf('pods'), /"pods" is not an IPv4 range/)
})

test('a range drops its host part', () => {
  assert.equal(formatRange(rangeOf('10.42.7.9/16')), '10.42.0.0/16')
  assert.equal(formatRange(rangeOf('192.0.2.7')), '192.0.2.7/32')
  assert.equal(nth(rangeOf('10.43.0.0/16'), 10), '10.43.0.10')
  assert.equal(maskOf(20), '255.255.240.0')
})

test('overlap is seen from both sides', () => {
  const big = rangeOf('10.0.0.0/8')
  const small = rangeOf('10.42.0.0/16')
  assert.ok(overlaps(big, small) && overlaps(small, big))
  assert.ok(!overlaps(small, rangeOf('10.43.0.0/16')))
})

test('pods have the lower half, machines the upper one', () => {
  const { podFirst, podLast, machineFirst, machineLast } = halves('10.42.0.0/16')
  assert.deepEqual(
    [podFirst, podLast, formatAddress(machineFirst), formatAddress(machineLast)],
    ['10.42.0.2', '10.42.127.255', '10.42.128.0', '10.42.255.254'],
  )
  assert.throws(() => halves('10.42.0.0/30'), /too small/)
})
