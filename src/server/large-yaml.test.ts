// YAML that is read and written by another thread.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasLargeYaml, readLargeYaml, yamlOf } from './large-yaml.ts'

const request = (text: string, type = 'application/yaml') => ({
  method: 'POST' as const,
  path: '/',
  query: new URLSearchParams(),
  headers: { 'content-type': type },
  body: Buffer.from(text),
})
const many = Array.from({ length: 2_000 }, (_, index) => `key${index}: value`).join('\n')

test('only YAML of some size that is no JSON', () => {
  assert.equal(hasLargeYaml(request(many)), true)
  assert.equal(hasLargeYaml(request('a: b')), false)
  assert.equal(hasLargeYaml(request(many, 'application/json')), false)
  assert.equal(hasLargeYaml(request(`{"a": "${'x'.repeat(20_000)}"}`, 'application/apply-patch+yaml')), false)
})

test('it is read as by the main thread, several at once, and bad YAML is refused', async () => {
  const read = await Promise.all([readLargeYaml(request(many)), readLargeYaml(request(`${many}\nlast: [1]`))])
  assert.equal((read[0].body as any).key1999, 'value')
  assert.deepEqual((read[1].body as any).last, [1])
  await assert.rejects(readLargeYaml(request(`${many}\n"`)), /is not valid YAML/)
})

test('an answer is written as by the main thread', async () => {
  assert.equal(await yamlOf('{"a":[1]}'), 'a:\n  - 1\n')
  const items = Array.from({ length: 2_000 }, (_, index) => ({ name: `a${index}` }))
  const text = await yamlOf(JSON.stringify({ items }))
  assert.match(text, /^items:\n {2}- name: a0\n {2}- name: a1\n/)
  assert.ok(text.endsWith('  - name: a1999\n'))
})
