import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dataOf, filesOf, modeFor, ownershipOf, tokenMode } from './payload.ts'

const data = new Map([
  ['a', Buffer.from('1')],
  ['b', Buffer.from('2')],
])

test('all keys, or the listed ones under their paths', () => {
  assert.deepEqual(
    filesOf('configmap', data, {}).map(({ path }) => path),
    ['a', 'b'],
  )
  assert.deepEqual(filesOf('configmap', data, { items: [{ key: 'b', path: 'x/y', mode: 0o400 }] }), [
    { path: 'x/y', data: Buffer.from('2'), mode: 0o400 },
  ])
})

test("a key that is not there: the kubelet's words, unless it is optional", () => {
  const items = [{ key: 'c', path: 'c' }]
  assert.throws(
    () => filesOf('configmap', data, { items }),
    /^VolumeNotReady: configmap references non-existent config key: c$/,
  )
  assert.throws(() => filesOf('secret', data, { items }), /references non-existent secret key: c/)
  assert.deepEqual(filesOf('secret', data, { items, optional: true }), [])
})

test('content of both kinds, text and bytes', () => {
  const configMap = dataOf('configmap', { data: { a: 'text' }, binaryData: { b: 'AAE=' } })
  assert.deepEqual([configMap.get('a')!.toString(), [...configMap.get('b')!]], ['text', [0, 1]])
  assert.equal(
    dataOf('secret', { data: { p: 'czNjcmV0' } })
      .get('p')!
      .toString(),
    's3cret',
  )
})

test('who the files belong to', () => {
  const both = {
    securityContext: { runAsUser: 5, fsGroup: 7 },
    containers: [{}, { securityContext: { runAsUser: 5 } }],
  }
  assert.deepEqual(ownershipOf(both), { group: 7, user: 5 })
  assert.deepEqual(ownershipOf({ containers: [{ securityContext: { runAsUser: 5 } }, {}] }), {})
  assert.equal(modeFor(0o400, { group: 7 }), 0o440)
  assert.equal(modeFor(0o400, {}), 0o400)
  assert.deepEqual(
    [tokenMode(0o644, {}), tokenMode(0o644, { user: 5 }), tokenMode(0o644, { group: 7 })],
    [0o644, 0o600, 0o640],
  )
})
