// Rules of schemas: when they run, what they say, and what is said of them before they run.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fieldErrorBody } from '../errors.ts'
import type { Schema, ValidationRule } from '../schema.ts'
import { ruleProblems } from './rule-problems.ts'
import { compileRules } from './rules.ts'

const integer: Schema = { type: 'integer' }
const text: Schema = { type: 'string' }
const objectOf = (properties: Record<string, Schema>, ...rules: ValidationRule[]): Schema => ({
  type: 'object',
  properties,
  ...(rules.length > 0 && { rules }),
})
const said = (schema: Schema, object: unknown, old?: unknown, budget?: number): string[] =>
  compileRules(schema)
    .validate(object, old, budget === undefined ? {} : { budget })
    .errors.map((error) => `${error.field}: ${fieldErrorBody(error)}`)
const problems = (schema: Schema): string[] =>
  ruleProblems(schema, 'schema').map((error) => `${error.field}: ${fieldErrorBody(error)}`)

test('a rule that is false is reported where it stands', () => {
  const schema = objectOf({ spec: objectOf({ min: integer, max: integer }, { rule: 'self.min <= self.max' }) })
  assert.deepEqual(said(schema, { spec: { min: 1, max: 2 } }), [])
  assert.deepEqual(said(schema, { spec: { min: 3, max: 2 } }), [
    'spec: Invalid value: failed rule: self.min <= self.max',
  ])
  assert.deepEqual(said(schema, { spec: { min: 3 } }), [
    'spec: Invalid value: "object": no such key: max evaluating rule: self.min <= self.max',
  ])
  assert.deepEqual(said(schema, {}), [])
})

test('message, messageExpression, reason and fieldPath', () => {
  const rule = { rule: 'self.a == self.b', message: 'must agree' }
  const schema = (more: Partial<ValidationRule>) =>
    objectOf({ spec: objectOf({ a: integer, b: integer }, { ...rule, ...more }) })
  const object = { spec: { a: 1, b: 2 } }
  const messageExpression = '"a is %d".format([self.a])'
  assert.deepEqual(said(schema({}), object), ['spec: Invalid value: must agree'])
  assert.deepEqual(said(schema({ messageExpression }), object), ['spec: Invalid value: a is 1'])
  assert.deepEqual(said(schema({ messageExpression: '""' }), object), ['spec: Invalid value: must agree'])
  assert.deepEqual(said(schema({ reason: 'FieldValueForbidden', fieldPath: '.b' }), object), [
    'spec.b: Forbidden: must agree',
  ])
  assert.deepEqual(said(schema({ reason: 'FieldValueRequired', fieldPath: '.a' }), object), [
    'spec.a: Required value: must agree',
  ])
})

test('rules of items, values, and at the root', () => {
  const schema: Schema = objectOf(
    {
      list: { type: 'array', items: { ...integer, rules: [{ rule: 'self > 0' }] } },
      map: { type: 'object', additionalProperties: { ...text, rules: [{ rule: 'self != ""' }] } },
    },
    { rule: 'self.metadata.name.startsWith("a")' },
  )
  assert.deepEqual(said(schema, { metadata: { name: 'b' }, list: [1, 0], map: { x: '' } }), [
    ': Invalid value: failed rule: self.metadata.name.startsWith("a")',
    'list[1]: Invalid value: 0: failed rule: self > 0',
    'map[x]: Invalid value: "": failed rule: self != ""',
  ])
})

test('transition rules need a former self', () => {
  const items = objectOf({ name: text, n: { ...integer, rules: [{ rule: 'self >= oldSelf' }] } })
  const schema = objectOf({
    spec: objectOf({ fixed: { ...text, rules: [{ rule: 'self == oldSelf' }] } }),
    list: { type: 'array', listType: 'map', listMapKeys: ['name'], items },
    first: { ...integer, rules: [{ rule: 'oldSelf.hasValue() || self == 1', optionalOldSelf: true }] },
  })
  assert.deepEqual(said(schema, { spec: { fixed: 'a' }, list: [{ name: 'x', n: 1 }], first: 1 }), [])
  assert.deepEqual(said(schema, { first: 2 }), [
    'first: Invalid value: 2: failed rule: oldSelf.hasValue() || self == 1',
  ])
  const old = {
    spec: { fixed: 'a' },
    list: [
      { name: 'x', n: 5 },
      { name: 'y', n: 1 },
    ],
    first: 1,
  }
  assert.deepEqual(
    said(
      schema,
      {
        ...old,
        list: [
          { name: 'y', n: 2 },
          { name: 'x', n: 4 },
        ],
        spec: { fixed: 'b' },
      },
      old,
    ),
    [
      'spec.fixed: Invalid value: "b": failed rule: self == oldSelf',
      'list[1].n: Invalid value: 4: failed rule: self >= oldSelf',
    ],
  )
})

test('what an update does not change may stay wrong, with a warning', () => {
  const schema = objectOf({ a: objectOf({ x: integer }, { rule: 'self.x > 0' }), b: integer })
  const { errors, warnings } = compileRules(schema).validate({ a: { x: 0 }, b: 2 }, { a: { x: 0 }, b: 1 })
  assert.deepEqual(errors, [])
  assert.deepEqual(warnings, ['a: Invalid value: failed rule: self.x > 0'])
  assert.equal(said(schema, { a: { x: -1 }, b: 1 }, { a: { x: 0 }, b: 1 }).length, 1)
})

test('budgets: of one rule, and of all', () => {
  const list: Schema = { type: 'array', maxItems: 1000, items: integer }
  const schema = objectOf(
    { list, other: { ...integer, rules: [{ rule: 'false' }] } },
    { rule: 'self.list.all(a, self.list.all(b, a == b))' },
  )
  const many = Array(1000).fill(1)
  assert.deepEqual(said(schema, { list: many, other: 1 }), [
    `: Invalid value: "object": 'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: self.list.all(a, self.list.all(b, a == b))`,
  ])
  assert.deepEqual(said(schema, { list: [1], other: 1 }, undefined, 5), [
    ': Invalid value: "object": validation failed due to running out of cost budget, no further validation rules will be run',
  ])
})

test('rules that do not compile, or could cost too much', () => {
  assert.deepEqual(problems(objectOf({ spec: objectOf({ x: integer }, { rule: 'self.x > 1' }) })), [])
  const [unknown] = problems(objectOf({ spec: objectOf({ x: integer }, { rule: 'self.z == 1' }) }))
  assert.match(
    unknown!,
    /^schema.properties\[spec\].x-kubernetes-validations\[0\].rule: Invalid value: .*compilation failed: ERROR: <input>:1:5: undefined field 'z'/,
  )
  assert.match(problems(objectOf({ x: integer }, { rule: 'self.x' }))[0]!, /cel expression must evaluate to a bool$/)
  assert.match(
    problems(objectOf({ x: integer }, { rule: 'true', messageExpression: '1' }))[0]!,
    /messageExpression: Invalid value: .*messageExpression must evaluate to a string$/,
  )
  const nested: Schema = {
    type: 'array',
    items: { type: 'array', items: text, rules: [{ rule: "self.all(s, s == 'x')" }] },
  }
  const [cost, ...others] = problems(objectOf({ nested }))
  assert.match(
    cost!,
    /items.x-kubernetes-validations\[0\].rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x/,
  )
  assert.match(
    others.at(-1)!,
    /^schema: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget/,
  )
  const bounded: Schema = {
    type: 'array',
    maxItems: 10,
    items: { type: 'array', maxItems: 10, items: { ...text, maxLength: 5 }, rules: nested.items!.rules! },
  }
  assert.deepEqual(problems(objectOf({ bounded })), [])
  const keyed: Schema = {
    type: 'object',
    maxProperties: 16,
    additionalProperties: text,
    rules: [{ rule: "self.all(key, key.split('/')[0].size() < 253)" }],
  }
  assert.deepEqual(problems(objectOf({ keyed })), [], 'keys count as empty')
})

test('oldSelf where nothing identifies a former self is refused', () => {
  const item: Schema = { ...integer, rules: [{ rule: 'self == oldSelf' }] }
  assert.match(
    problems(objectOf({ list: { type: 'array', maxItems: 3, items: item } }))[0]!,
    /oldSelf cannot be used on the uncorrelatable portion of the schema within schema.properties\[list\]$/,
  )
  assert.match(
    problems(objectOf({ x: { ...integer, rules: [{ rule: 'self > 0', optionalOldSelf: true }] } }))[0]!,
    /optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule$/,
  )
})
