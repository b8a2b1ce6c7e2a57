import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { buildRuleset, renderChange, renderTable, type ServicePort } from './ruleset.ts'

const settings = {
  table: 'tandem_1a2b',
  podCidr: '10.42.0.0/16',
  serviceCidr: '10.43.0.0/16',
  dnsAddress: '10.43.0.10',
}
const web: ServicePort = {
  key: 'default/web',
  protocol: 'TCP',
  port: 80,
  addresses: ['10.43.0.20', '192.0.2.80'],
  nodePort: 30080,
  endpoints: [
    { address: '10.42.0.5', port: 8080 },
    { address: '10.42.128.1', port: 8080 },
  ],
}
const db: ServicePort = {
  key: 'default/db',
  protocol: 'UDP',
  port: 53,
  addresses: ['10.43.0.21'],
  endpoints: [{ address: '10.42.0.7', port: 5353 }],
}
const sticky: ServicePort = {
  ...web,
  key: 'default/sticky',
  addresses: ['10.43.0.22'],
  nodePort: undefined,
  affinitySeconds: 60,
}
const change = (old: ServicePort[], next: ServicePort[]) =>
  renderChange(settings, buildRuleset(old), buildRuleset(next))

/** UPDATE_GOLDEN=1 writes the file anew. */
function golden(name: string, text: string): void {
  const path = join(import.meta.dirname, 'golden', name)
  if (process.env.UPDATE_GOLDEN) writeFileSync(path, text)
  assert.equal(text, readFileSync(path, 'utf8'))
}

test('the whole table', () => {
  golden('services.nft', renderTable(settings, buildRuleset([web, db, sticky])))
})

test('the table without Services', () => {
  golden('empty.nft', renderTable(settings, buildRuleset([])))
})

test('nothing changed, nothing is written', () => {
  assert.equal(change([web, db, sticky], [web, db, sticky]), '')
})

test('a new endpoint touches one chain and one element', () => {
  const more = { ...db, endpoints: [...db.endpoints, { address: '10.42.0.8', port: 5353 }] }
  assert.deepEqual(change([web, db], [web, more]).trim().split('\n'), [
    'add chain ip tandem_1a2b service/default/db/udp/53',
    'flush chain ip tandem_1a2b service/default/db/udp/53',
    'add rule ip tandem_1a2b service/default/db/udp/53 meta l4proto udp dnat ip to numgen random mod 2 map { 0 : 10.42.0.7 . 5353, 1 : 10.42.0.8 . 5353 }',
    'add element ip tandem_1a2b hairpin { 10.42.0.8 . 10.42.0.8 }',
  ])
})

test('a Service that loses its last endpoint loses its elements before its chain', () => {
  assert.deepEqual(
    change([web, db], [web, { ...db, endpoints: [] }])
      .trim()
      .split('\n'),
    [
      'flush chain ip tandem_1a2b service/default/db/udp/53',
      'delete element ip tandem_1a2b services { 10.43.0.21 . udp . 53 }',
      'delete element ip tandem_1a2b hairpin { 10.42.0.7 . 10.42.0.7 }',
      'add element ip tandem_1a2b unserved { 10.43.0.21 . udp . 53 }',
      'delete chain ip tandem_1a2b service/default/db/udp/53',
    ],
  )
})

test('another affinity timeout makes the sets anew and writes all that name them', () => {
  const lines = change([sticky], [{ ...sticky, affinitySeconds: 90 }])
    .trim()
    .split('\n')
  const at = (text: string) => lines.findIndex((line) => line.startsWith(text))
  const set = 'client/default/sticky/tcp/80/10.42.0.5/8080'
  assert.ok(at('flush chain ip tandem_1a2b service/default/sticky/tcp/80') >= 0)
  assert.ok(at(`delete set ip tandem_1a2b ${set}`) > at('flush chain ip tandem_1a2b endpoint/default/sticky'))
  assert.ok(at(`add set ip tandem_1a2b ${set}`) > at(`delete set ip tandem_1a2b ${set}`))
  assert.ok(at('add rule ip tandem_1a2b endpoint/default/sticky') > at(`add set ip tandem_1a2b ${set}`))
})

test('of two Services with one external address the first keeps it', () => {
  const thief = { ...db, protocol: 'TCP' as const, port: 80, addresses: ['10.43.0.30', '192.0.2.80'] }
  const element = buildRuleset([web, thief]).elements.get('services')!.get('192.0.2.80 . tcp . 80')
  assert.equal(element, 'goto service/default/web/tcp/80')
})

test('text that is no name and no address never becomes a rule', () => {
  for (const wrong of [
    { ...web, key: 'default/web { } ; flush ruleset' },
    { ...web, addresses: ['10.43.0.20 } ; flush ruleset'] },
    { ...web, endpoints: [{ address: '::1', port: 1 }] },
  ])
    assert.throws(() => buildRuleset([wrong]), /cannot make rules for/)
})

test('a guarded load balancer, and traffic that no local endpoint may take', () => {
  const guarded = {
    ...web,
    addresses: ['10.43.0.20'],
    guarded: { addresses: ['192.0.2.80'], ranges: ['198.51.100.0/24'] },
  }
  const rules = buildRuleset([guarded])
  assert.deepEqual(rules.chains.get('firewall/default/web/tcp/80'), [
    'ip saddr != { 198.51.100.0/24 } drop',
    'goto service/default/web/tcp/80',
  ])
  assert.equal(rules.elements.get('services')!.get('192.0.2.80 . tcp . 80'), 'goto firewall/default/web/tcp/80')
  const elsewhere = buildRuleset([{ ...web, endpoints: [], elsewhere: true }])
  assert.equal(elsewhere.elements.get('services')!.get('10.43.0.20 . tcp . 80'), 'drop')
  assert.equal(elsewhere.elements.get('nodeports')!.get('tcp . 30080'), 'drop')
  const text = renderTable(settings, rules)
  assert.ok(text.indexOf('chain service/default/web') < text.indexOf('chain firewall/default/web'))
})
