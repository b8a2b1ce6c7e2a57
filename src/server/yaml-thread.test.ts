// YAML that is read and written by another thread.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Body, ReadBody } from './body.ts'
import { hasLargeYaml, readYaml, yamlOf } from './yaml-thread.ts'

const request = (text: string, type = 'application/yaml') => ({
  method: 'POST' as const,
  path: '/',
  query: new URLSearchParams(),
  headers: { 'content-type': type },
  body: Buffer.from(text),
})
const many = Array.from({ length: 2_000 }, (_, index) => `key${index}: value`).join('\n')

const readOf = async (text: string, type?: string): Promise<Body> =>
  ((await readYaml(request(text, type))).body as ReadBody).body

test('only YAML of some size', () => {
  assert.equal(hasLargeYaml(request(many)), true)
  assert.equal(hasLargeYaml(request(many, 'application/apply-patch+yaml; charset=utf-8')), true)
  assert.equal(hasLargeYaml(request('a: b')), false)
  assert.equal(hasLargeYaml(request(many, 'application/json')), false)
})

test('it is read as by the main thread, several at once, and bad YAML is refused', async () => {
  const [first, second] = await Promise.all([readOf(many), readOf(`${many}\nkey7: again\nlast: [1]`)])
  assert.equal(first.value.key1999, 'value')
  assert.deepEqual(second.value.last, [1])
  assert.equal(second.problems.length, 1)
  assert.match(second.problems[0]!, /key7/)
  assert.deepEqual(await readOf('{"a": 1}', 'application/apply-patch+yaml'), { value: { a: 1 }, problems: [] })
  assert.deepEqual((await readOf('{a: 1}')).value, { a: 1 })
  await assert.rejects(readYaml(request(`${many}\n"`)), /is not valid YAML/)
})

test('an answer is written as by the main thread', async () => {
  assert.equal(await yamlOf('{"a":[1]}'), 'a:\n  - 1\n')
  const items = Array.from({ length: 2_000 }, (_, index) => ({ name: `a${index}` }))
  const text = await yamlOf(JSON.stringify({ items }))
  assert.match(text, /^items:\n {2}- name: a0\n {2}- name: a1\n/)
  assert.ok(text.endsWith('  - name: a1999\n'))
})
