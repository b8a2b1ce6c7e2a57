import assert from 'node:assert/strict'
import { test } from 'node:test'
import { droppingChains } from './other-firewalls.ts'

test('only chains that drop forwarded IPv4 packets are named', () => {
  const chain = (more: object) => ({
    chain: { family: 'ip', table: 'filter', name: 'FORWARD', hook: 'forward', policy: 'drop', ...more },
  })
  const list = [
    { metainfo: {} },
    chain({}),
    chain({ policy: 'accept' }),
    chain({ hook: 'input' }),
    chain({ family: 'ip6' }),
    chain({ family: 'inet', table: 'firewalld', name: 'f' }),
  ]
  assert.deepEqual(droppingChains(JSON.stringify({ nftables: list })), ['ip filter FORWARD', 'inet firewalld f'])
})
