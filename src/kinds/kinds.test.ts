// The contract that every kind keeps.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KindDefinition } from '../api/kind.ts'
import { type ApiObject, groupVersion } from '../api/meta.ts'
import type { Schema } from '../api/schema.ts'
import { tableColumns, tableRow } from '../api/table.ts'
import { decode } from '../api/walk/decode.ts'
import { applyDefaults } from '../api/walk/defaults.ts'
import { objectShape } from '../api/walk/shape.ts'
import { validateSchema } from '../api/walk/validate.ts'
import { kinds } from './index.ts'
import { types } from './types.ts'

const now = Date.parse('2026-01-01T01:00:00Z')
const modeOf = (kind: KindDefinition) => (kind.protobuf === false ? 'structural' : 'typed')

/** An example the way the server makes an object of it on create. */
function created(kind: KindDefinition): ApiObject {
  const { object, unknown, wrong } = decode<ApiObject>(kind.example, objectShape(kind), modeOf(kind), kind.kind)
  assert.deepEqual(unknown, [], 'the schema knows every field of the example')
  assert.equal(wrong, undefined)
  object.metadata = { ...object.metadata, uid: '7b0a', creationTimestamp: '2026-01-01T00:00:00Z' }
  kind.prepareCreate?.(object)
  complete(kind, object)
  return object
}

function complete(kind: KindDefinition, object: ApiObject): void {
  applyDefaults(object, objectShape(kind))
  kind.defaults?.(object)
}

const problems = (kind: KindDefinition, object: ApiObject, old?: ApiObject) => [
  ...validateSchema(object, objectShape(kind), modeOf(kind)),
  ...(kind.validate?.(object, old) ?? []),
]

test('names are unique', () => {
  const seen = new Set<string>()
  for (const { group, version, kind, plural, singular, shortNames = [] } of kinds) {
    // Measured kinds have no singular name, as upstream's metrics-server.
    for (const name of new Set([kind, plural, singular || kind, ...shortNames])) {
      const key = `${group}/${version} ${name}`
      assert.ok(!seen.has(key), key)
      seen.add(key)
    }
  }
})

test('every reference of every schema leads to a type', () => {
  const walk = (schema: Schema): void => {
    if (schema.ref) assert.ok(schema.ref in types, schema.ref)
    for (const child of Object.values(schema.properties ?? {})) walk(child)
    for (const child of [schema.items, schema.additionalProperties]) if (child) walk(child)
    for (const name of Object.values(schema.protoInline ?? {})) assert.ok(name in types, name)
  }
  for (const schema of Object.values(types)) walk(schema)
  for (const kind of kinds) walk(kind.schema)
})

for (const kind of kinds) {
  test(`${groupVersion(kind.group, kind.version)} ${kind.kind}`, async (t) => {
    await t.test('the example says what it is', () => {
      assert.equal(kind.example.apiVersion, groupVersion(kind.group, kind.version))
      assert.equal(kind.example.kind, kind.kind)
      assert.equal(kind.example.metadata.namespace !== undefined, kind.scope === 'Namespaced')
    })

    await t.test('the example is valid', () => {
      assert.deepEqual(problems(kind, created(kind)), [])
    })

    await t.test('an object may be written again unchanged', () => {
      const old = created(kind)
      const object = structuredClone(old)
      kind.prepareUpdate?.(object, old)
      complete(kind, object)
      assert.deepEqual(object, old)
      assert.deepEqual(problems(kind, object, old), [])
    })

    await t.test('what is written is read back', () => {
      const object = created(kind)
      const text = JSON.parse(JSON.stringify(object))
      assert.deepEqual(decode(text, objectShape(kind), modeOf(kind), kind.kind).object, object)
    })

    await t.test('defaults and rules bear an empty and a bare object', () => {
      for (const extra of [{}, { spec: {} }, { spec: { template: {} } }, { spec: { template: { spec: {} } } }]) {
        const bare: ApiObject = {
          apiVersion: kind.example.apiVersion,
          kind: kind.kind,
          metadata: { name: 'x' },
          ...extra,
        }
        const { object } = decode<ApiObject>(bare, objectShape(kind), modeOf(kind), kind.kind)
        kind.prepareCreate?.(object)
        complete(kind, object)
        problems(kind, object)
      }
    })

    await t.test('columns render', () => {
      const columns = tableColumns(kind.columns)
      for (const object of [created(kind), kind.example]) {
        const { cells } = tableRow(object, kind.columns, { now })
        assert.equal(cells.length, columns.length)
        const named = cells[columns.findIndex((column) => column.name === 'Name')]
        assert.ok(String(named).startsWith(object.metadata.name ?? ''))
        for (const [index, cell] of cells.entries())
          assert.notEqual(cell, null, `${columns[index]!.name} has something to say`)
      }
    })

    await t.test('field selectors give text', () => {
      for (const [path, value] of Object.entries(kind.fields ?? {}))
        for (const object of [created(kind), kind.example]) assert.equal(typeof value(object), 'string', path)
    })
  })
}
