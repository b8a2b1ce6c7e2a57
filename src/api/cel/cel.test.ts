// CEL by tables: what expressions are, what they cost, and what is said of wrong ones.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Schema } from '../schema.ts'
import { CelResultError, compileCel } from './compile.ts'
import { schemaValue } from './convert.ts'
import { escapeName, unescapeName } from './escape.ts'
import { normalizeFieldPath } from './field-path.ts'
import { CelCompileError, CelCostExceeded } from './problem.ts'
import problems from './problems.cases.json' with { type: 'json' }
import { schemaType } from './schema-type.ts'
import { boolType } from './types.ts'
import cases from './values.cases.json' with { type: 'json' }

const text: Schema = { type: 'string' }
const integer: Schema = { type: 'integer' }
const schema: Schema = {
  type: 'object',
  properties: {
    i: integer,
    wrong: integer,
    f: { type: 'number' },
    s: { ...text, maxLength: 10 },
    port: { intOrString: true },
    'foo-bar': text,
    namespace: text,
    nope: text,
    empty: { ...text, nullable: true },
    time: { type: 'string', format: 'date-time' },
    wait: { type: 'string', format: 'duration' },
    bytes: { type: 'string', format: 'byte' },
    o: { type: 'object', properties: { a: text, b: text, none: text } },
    set: { type: 'array', listType: 'set', items: text },
    numbers: { type: 'array', items: integer, maxItems: 100 },
    entries: {
      type: 'array',
      listType: 'map',
      listMapKeys: ['name'],
      items: { type: 'object', properties: { name: text, size: integer } },
    },
    labels: { type: 'object', additionalProperties: text },
  },
}
const object = {
  apiVersion: 'example.com/v1',
  kind: 'Thing',
  metadata: { name: 'thing' },
  i: 7,
  wrong: 'no number',
  f: 2,
  s: 'text',
  port: 80,
  'foo-bar': 'x',
  namespace: 'y',
  empty: null,
  time: '2024-05-01T10:00:00Z',
  wait: '90s',
  bytes: 'QUI=',
  o: { a: 'x' },
  set: ['a', 'b'],
  numbers: [1, 2, 3, 4, 5, 6, 7, 8],
  entries: [{ name: 'one', size: 1 }],
  labels: { 'app.example.com/name': 'web' },
}

const variables = { self: schemaType({ ...schema, properties: { ...schema.properties } }, true)! }
delete (schema.properties as Record<string, unknown>).nope
const known = { self: schemaType(schema, true)! }
const compile = (source: string, typed = variables) => compileCel(source, { variables: typed })
const evaluate = (source: string, limit?: number) =>
  compile(source).evaluate(() => schemaValue(object, schema, true), limit)

for (const { what, true: holding, errors } of cases) {
  test(what, () => {
    for (const source of holding) {
      const { value, error } = evaluate(source)
      assert.equal(error?.message, undefined, source)
      assert.equal(value, true, source)
    }
    for (const [source, message] of Object.entries(errors as Record<string, string>)) {
      assert.ok(evaluate(source).error?.message.includes(message), `${source}: ${evaluate(source).error?.message}`)
    }
  })
}

test('wrong expressions are reported with their place, as upstream does', () => {
  for (const [source, message] of problems as [string, string][]) {
    assert.throws(
      () => compile(source, known),
      (error) => error instanceof CelCompileError && error.message.includes(message),
      source,
    )
  }
})

test('the type of the result is checked', () => {
  const wanted = { variables: known, resultTypes: [boolType], resultProblem: () => 'must be bool' }
  assert.throws(() => compileCel('1 + 1', wanted), CelResultError)
  assert.throws(() => compileCel('self.port', wanted), CelResultError)
  assert.equal(compileCel('self.i > 1', wanted).evaluate(() => schemaValue(object, schema)).value, true)
})

test('what an evaluation costs', () => {
  // Facts of cel-go: a name is 1, each step 1, a call 1, text a tenth of its size, a list 10, a map 30.
  const costs: Record<string, number> = {
    'self.i == 1': 3,
    'has(self.o.a)': 2,
    'self.numbers.all(x, x > 0)': 43,
    'self.numbers.exists_one(x, x == 1)': 2 + 8 * 2 + 2 + 2,
    'self.numbers.map(x, x * 2).size() == 8': 2 + 8 * (1 + 10 + 2 + 1) + 1 + 1 + 1,
    "self.s.contains('ex')": 2 + 1,
    'self.i in [1, 7]': 2,
    '[self.i, 2] == [7, 2]': 2 + 10 + 1,
    'self.numbers[self.i]': 2 + 1 + 1,
    '(self.i > 1 ? self.o : self.o).a': 3 + 1 + 1,
  }
  for (const [source, cost] of Object.entries(costs)) assert.equal(evaluate(source).cost, cost, source)
})

test('a limit ends an evaluation, whatever absorbs errors around it', () => {
  const { error, cost } = evaluate('true || self.numbers.all(x, self.numbers.all(y, x != y || true)) || true', 5)
  assert.equal(error, undefined)
  assert.equal(cost, 0)
  assert.ok(
    evaluate('self.numbers.exists(x, self.numbers.exists(y, x + y > 100)) || true', 50).error instanceof
      CelCostExceeded,
  )
})

test('what an expression may cost at most, by the sizes of the schema', () => {
  const costs: Record<string, number> = {
    'self.i == 1': 2,
    "self.s == 'abc'": 3,
    'self.numbers.all(x, x > 0)': 2 + 1 + 100 * 5,
    'self.numbers.all(x, self.numbers.all(y, x == y))': 2 + 1 + 100 * (3 + 2 + 1 + 100 * 5),
    "self.s.matches('[a-z]+')": 2 + Math.ceil(41 * 0.1) * Math.ceil(6 * 0.25),
    'quantity(self.s).isInteger()': 2 + 4 + 1,
  }
  for (const [source, cost] of Object.entries(costs)) assert.equal(compile(source).cost.max, cost, source)
  assert.ok(compile('self.set.all(x, self.set.all(y, x == y))').cost.max > 1e12)
})

test('names of properties and identifiers', () => {
  const names: [string, string | undefined][] = [
    ['plain', 'plain'],
    ['foo-bar', 'foo__dash__bar'],
    ['a.b/c', 'a__dot__b__slash__c'],
    ['a__b', 'a__underscores__b'],
    ['namespace', '__namespace__'],
    ['1st', undefined],
    ['a b', undefined],
  ]
  for (const [name, escaped] of names) {
    assert.equal(escapeName(name), escaped)
    if (escaped !== undefined) assert.equal(unescapeName(escaped), name)
  }
  assert.equal(unescapeName('a__nope__b'), undefined)
})

test('field paths', () => {
  const at: [string, string | undefined][] = [
    ['.o.a', 'o.a'],
    [".labels['a.b']", 'labels[a.b]'],
    ["['o']['a']", 'o.a'],
    ['.nowhere', undefined],
    ['o', undefined],
    ['.entries.name', undefined],
  ]
  for (const [path, normalized] of at) assert.equal(normalizeFieldPath(path, schema), normalized, path)
})

test('an expression of any size ends', () => {
  assert.throws(() => compile(`${'('.repeat(300)}1${')'.repeat(300)}`), /expression recursion limit exceeded: 250/)
  assert.throws(
    () => compile(`1${'+1'.repeat(40_000)} > 0`),
    /^Error: ERROR: <input>:1:\d+: expression recursion limit exceeded: 250$/,
  )
  assert.equal(evaluate(`${'!'.repeat(10_001)}false`).value, true)
  assert.equal(evaluate(`true${' && true'.repeat(10_000)}`).value, true)
  assert.throws(() => compile(`true${' '.repeat(100_001)}`), /expression code point size exceeds limit/)
})
