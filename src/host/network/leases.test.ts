import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parseAddress } from './addresses.ts'
import { nextFree, openLeases } from './leases.ts'

const dir = mkdtempSync(join(tmpdir(), 'tandem-leases-'))
after(() => rmSync(dir, { recursive: true, force: true }))
const number = (text: string) => parseAddress(text)!
const open = (name: string, first = '10.42.128.0', last = '10.42.128.254') =>
  openLeases(join(dir, name), number(first), number(last))

test('an address is kept, also by the next process, until it is given back', () => {
  const leases = open('a')
  const address = leases.reserve('default/db')
  assert.equal(address, '10.42.128.1')
  assert.equal(leases.reserve('default/db'), address)
  assert.equal(leases.reserve('default/web'), '10.42.128.2')
  assert.equal(open('a').reserve('default/db'), address)
  leases.release('default/db')
  assert.equal(open('a').get('default/db'), undefined)
  assert.notEqual(leases.reserve('default/new'), address, 'not handed on at once')
})

test('names that an object inherits are no leases', () => {
  assert.equal(open('b').get('constructor'), undefined)
})

test('a full range says so, and a given back address helps', () => {
  const leases = open('c', '10.42.128.1', '10.42.128.2')
  leases.reserve('a/a')
  leases.reserve('a/b')
  assert.throws(() => leases.reserve('a/c'), /no address is left for a\/c/)
  leases.release('a/a')
  assert.equal(leases.reserve('a/c'), '10.42.128.1')
})

test('a lease outside of a changed range is not used', () => {
  open('d').reserve('default/db')
  assert.equal(open('d', '10.44.128.0', '10.44.255.254').reserve('default/db'), '10.44.128.1')
})

test('ends of a byte are left out and the search goes round', () => {
  const [first, last] = [number('10.0.0.254'), number('10.0.1.2')]
  const order = [number('10.0.0.254'), number('10.0.1.1'), number('10.0.1.2')]
  assert.equal(nextFree(first, last, first, new Set()), order[1])
  assert.equal(nextFree(first, last, last, new Set()), order[0])
  assert.equal(nextFree(first, last, last, new Set(order)), undefined)
})
