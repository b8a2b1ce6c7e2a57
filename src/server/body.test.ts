// Bodies: duplicate keys, YAML as Go reads it, hostile nesting.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readBody } from './body.ts'
import { duplicateKeys } from './duplicate-keys.ts'

const cases: [string, string[]][] = [
  ['{"a":1,"b":{"a":2}}', []],
  ['{"a":1,"a":2}', ['a']],
  ['{"spec":{"x":[{"n":1},{"n":1,"n":2}]}}', ['spec.x[1].n']],
  ['{"a":"\\"a\\":","b":["a","a"]}', []],
  ['{"\\u0061":1,"a":2}', ['a']],
  ['{"a":{"x":1},"b":{"x":1,"x":1}, "b":1}', ['b.x', 'b']],
]
for (const [text, wanted] of cases) test(`duplicates of ${text}`, () => assert.deepEqual(duplicateKeys(text), wanted))

const read = (type: string, text: string) =>
  readBody(
    {
      method: 'POST',
      path: '/',
      query: new URLSearchParams(),
      headers: { 'content-type': type },
      body: Buffer.from(text),
    },
    true,
  ).value

test('YAML is 1.1 for numbers and booleans, and leaves times alone', () => {
  const text = 'mode: 0644\non: yes\nday: 2024-01-01\nclock: 12:30:45\nport: 80\n'
  const expected = { mode: 420, true: true, day: '2024-01-01', clock: '12:30:45', port: 80 }
  assert.deepEqual(read('application/yaml', text), expected)
})

test('an alias bomb in YAML is refused', () => {
  const levels = Array.from(
    { length: 12 },
    (_, i) => `l${i}: &l${i} [${i ? `*l${i - 1},`.repeat(9) : '"x",'.repeat(9)}]`,
  )
  assert.throws(() => read('application/yaml', levels.join('\n')), { reason: 'BadRequest' })
})

test('text that is no JSON, and unknown media types', () => {
  assert.throws(() => read('application/json', '{"a":'), { reason: 'BadRequest' })
  assert.throws(() => read('text/html', '<p>'), { reason: 'UnsupportedMediaType' })
})

test('YAML nested without end is refused, not followed', () => {
  assert.throws(() => read('application/yaml', `a: ${'['.repeat(200_000)}`), { reason: 'BadRequest' })
})
