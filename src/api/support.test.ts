// Refusals and warnings by type and field.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SchemaTypes } from './schema.ts'
import { checkSupport, type SupportTable, supportEntries } from './support.ts'

const types: SchemaTypes = {
  'x.v1.Part': {
    type: 'object',
    properties: {
      speed: { type: 'string' },
      color: { type: 'string' },
      parts: { type: 'array', items: { ref: 'x.v1.Part' } },
    },
  },
}
const part = { ref: 'x.v1.Part' }
const kind = {
  kind: 'Toy',
  types,
  schema: {
    type: 'object' as const,
    properties: {
      one: part,
      many: { type: 'array' as const, items: part },
      named: { type: 'object' as const, additionalProperties: part },
    },
  },
}
const table: SupportTable = {
  'x.v1.Part.speed': { has: 'refused', why: 'nothing moves here', only: (value) => value !== 'still' },
  'x.v1.Part.color': { has: 'no effect', why: 'it is dark' },
}
const entries = supportEntries(kind, table)
const toy = (spec: object) => ({ apiVersion: 'x/v1', kind: 'Toy', metadata: { name: 'a' }, ...spec })

test('the paths of a type are found wherever it is', () => {
  assert.deepEqual(
    entries.map((entry) => entry.path.join('.')),
    ['one.speed', 'one.color', 'many.[].speed', 'many.[].color', 'named.{}.speed', 'named.{}.color'],
  )
})

test('a refused value is named with its place; a value that is allowed is not', () => {
  const { refused, warnings } = checkSupport(
    entries,
    toy({ one: { speed: 'still' }, many: [{}, { speed: 'fast' }], named: { x: { color: 'red' } } }),
  )
  assert.deepEqual(
    refused.map(({ field, detail }) => [field, detail]),
    [['many[1].speed', 'nothing moves here']],
  )
  assert.deepEqual(warnings, ['named[x].color has no effect: it is dark'])
})

test('what was there before and what says nothing is left in peace', () => {
  const old = toy({ one: { speed: 'fast' } })
  assert.deepEqual(checkSupport(entries, structuredClone(old), old), { refused: [], warnings: [] })
  assert.deepEqual(checkSupport(entries, toy({ one: { speed: '', color: '' }, many: [] })), {
    refused: [],
    warnings: [],
  })
  assert.equal(checkSupport(entries, toy({ one: { speed: 'faster' } }), old).refused.length, 1)
})
