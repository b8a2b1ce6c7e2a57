// What a definition's schema does to its objects: validation, ratcheting, pruning, columns, selectors, OpenAPI.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { patchType, startServer, type TestServer, take, told } from '../server.fixture.ts'
import { define, definition, definitions, versionOf } from './custom.fixture.ts'

const foos = '/apis/example.com/v1/namespaces/default/foos'
const foo = (name: string, spec: unknown) => ({
  ...{ apiVersion: 'example.com/v1', kind: 'Foo', metadata: { name } },
  spec,
})

const specOf = (spec: object) => ({ properties: { spec } })
const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more })

async function serving(schema: object, more: object = {}): Promise<TestServer> {
  const server = await startServer()
  await define(server, definition({ versions: [versionOf('v1', schema, { storage: true, ...more })] }))
  return server
}

const text = { type: 'string' }
const number = { type: 'integer' }

test("constraints are told in upstream's words", async () => {
  const server = await serving(
    specOf(
      object(
        {
          color: { ...text, enum: ['red', 'blue'] },
          size: { ...number, minimum: 1, maximum: 3 },
          name: { ...text, pattern: '^a+$', maxLength: 3 },
          port: { 'x-kubernetes-int-or-string': true },
          tags: { type: 'array', items: text, 'x-kubernetes-list-type': 'set', maxItems: 2 },
          when: { ...text, format: 'date-time' },
        },
        { required: ['color'] },
      ),
    ),
  )
  const refused: [spec: object, problem: string][] = [
    [{}, 'spec.color: Required value'],
    [{ color: 'x' }, 'spec.color: Unsupported value: "x": supported values: "red", "blue"'],
    [{ color: 'red', size: 5 }, 'spec.size: Invalid value: 5: spec.size in body should be less than or equal to 3'],
    [
      { color: 'red', size: '5' },
      'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"',
    ],
    [{ color: 'red', name: 'ab' }, 'spec.name: Invalid value: "ab": spec.name in body should match \'^a+$\''],
    [{ color: 'red', name: 'aaaa' }, 'spec.name: Too long: may not be more than 3 bytes'],
    [
      { color: 'red', port: true },
      'spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"',
    ],
    [{ color: 'red', tags: ['a', 'a'] }, 'spec.tags[1]: Duplicate value: "a"'],
    [{ color: 'red', tags: ['a', 'b', 'c'] }, 'spec.tags: Too many: 3: must have at most 2 items'],
    [
      { color: 'red', when: 'now' },
      'spec.when: Invalid value: "now": spec.when in body must be of type date-time: "now"',
    ],
  ]
  for (const [spec, problem] of refused)
    assert.equal(await server.refused(422, 'POST', foos, foo('a', spec)), `Foo.example.com "a" is invalid: ${problem}`)
  await server.ok('POST', foos, foo('a', { color: 'red', size: 2, name: 'aa', port: '80', tags: ['a', 'b'] }))
})

test('what stayed as it was may stay, what changed is judged', async () => {
  const server = await serving(specOf(object({ a: text, b: text, list: { type: 'array', items: text } })))
  await server.ok('POST', foos, foo('a', { a: 'long', b: 'long', list: ['long'] }))
  const found = structuredClone(await server.ok('GET', `${definitions}/foos.example.com`))
  const { properties } = found.spec.versions[0].schema.openAPIV3Schema.properties.spec
  for (const name of ['a', 'b']) properties[name].maxLength = 2
  properties.list.items.maxLength = 2
  await server.ok('PUT', `${definitions}/foos.example.com`, found)
  await server.ok('PATCH', `${foos}/a`, { spec: { a: 'ok' } }, patchType('merge'))
  assert.equal(
    await server.refused(422, 'PATCH', `${foos}/a`, { spec: { b: 'other' } }, patchType('merge')),
    'Foo.example.com "a" is invalid: spec.b: Too long: may not be more than 2 bytes',
  )
  // A list without keys is compared as a whole.
  assert.equal(
    await server.refused(422, 'PATCH', `${foos}/a`, { spec: { list: ['long', 'x'] } }, patchType('merge')),
    'Foo.example.com "a" is invalid: spec.list[0]: Too long: may not be more than 2 bytes',
  )
})

test('rules in CEL see the object and what it was', async () => {
  const rules = [
    { rule: 'self.min <= self.max', message: 'min must not exceed max' },
    {
      rule: 'self.max >= oldSelf.max',
      messageExpression: "'max must not fall below ' + (oldSelf.max > 4 ? 'five' : 'four')",
    },
  ]
  const server = await serving(
    specOf(object({ min: number, max: number }, { required: ['min', 'max'], 'x-kubernetes-validations': rules })),
  )
  const refusal = (detail: string) => `Foo.example.com "a" is invalid: spec: Invalid value: ${detail}`
  assert.match(await server.refused(422, 'POST', foos, foo('a', { min: 2, max: 1 })), /min must not exceed max$/)
  await server.ok('POST', foos, foo('a', { min: 1, max: 5 }))
  const lower = await server.refused(422, 'PATCH', `${foos}/a`, { spec: { max: 4 } }, patchType('merge'))
  assert.ok(lower.startsWith(refusal('').slice(0, 30)) && lower.endsWith('max must not fall below five'), lower)
  assert.match(
    await server.refused(422, 'POST', foos, foo('b', { min: 2 })),
    /spec.max: Required value, <nil>: Invalid value: "null": some validation rules were not checked/,
  )
})

test('pruning, what is preserved, and strict reading', async () => {
  const embedded = { ...object({ spec: object({}) }), 'x-kubernetes-embedded-resource': true }
  const free = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
  const server = await serving(
    specOf(object({ a: text, free, template: embedded, map: { type: 'object', additionalProperties: text } })),
  )
  const template = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x', other: 1 }, more: 1 }
  const made = await server.ok(
    'POST',
    foos,
    foo('a', { a: '1', b: 2, free: { x: { y: 1 } }, map: { k: 'v' }, template }),
  )
  assert.deepEqual(made.spec, {
    a: '1',
    free: { x: { y: 1 } },
    map: { k: 'v' },
    template: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' } },
  })
  assert.equal(
    await server.refused(400, 'POST', `${foos}?fieldValidation=Strict`, foo('b', { b: 2, template })),
    'Foo in version "v1" cannot be handled as a Foo: strict decoding error: unknown field "spec.b", unknown field "spec.template.metadata.other", unknown field "spec.template.more"',
  )
  assert.match(
    await server.refused(422, 'POST', foos, foo('b', { template: { kind: 'pod name' } })),
    /spec.template.apiVersion: Required value/,
  )
})

test('columns of a Table, and fields that select', async () => {
  const columns = [
    { name: 'Color', type: 'string', jsonPath: '.spec.color' },
    { name: 'Ready', type: 'string', jsonPath: '.spec.conditions[?(@.type=="Ready")].status', priority: 1 },
    { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
  ]
  const conditions = { type: 'array', items: object({ type: text, status: text }) }
  const server = await serving(specOf(object({ color: text, size: number, conditions })), {
    additionalPrinterColumns: columns,
    selectableFields: [{ jsonPath: '.spec.color' }],
  })
  const ready = [
    { type: 'Other', status: 'No' },
    { type: 'Ready', status: 'Yes' },
  ]
  await server.ok('POST', foos, foo('a', { color: 'red', size: 3, conditions: ready }))
  await server.ok('POST', foos, foo('b', { color: 'blue' }))
  const accept = { headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' } }
  const table = await server.ok('GET', foos, undefined, accept)
  assert.deepEqual(
    table.columnDefinitions.map((one: any) => [one.name, one.priority]),
    [
      ['Name', 0],
      ['Color', 0],
      ['Ready', 1],
      ['Size', 0],
    ],
  )
  assert.deepEqual(
    table.rows.map((row: any) => row.cells),
    [
      ['a', 'red', 'Yes', 3],
      ['b', 'blue', null, null],
    ],
  )
  const red = await server.ok('GET', `${foos}?fieldSelector=spec.color%3Dred`)
  assert.deepEqual(
    red.items.map((one: any) => one.metadata.name),
    ['a'],
  )
  const watch = await server.call('GET', `${foos}?watch=1&fieldSelector=spec.color%3Dred`)
  await server.ok('PATCH', `${foos}/b`, { spec: { color: 'red' } }, patchType('merge'))
  await server.ok('PATCH', `${foos}/a`, { spec: { color: 'blue' } }, patchType('merge'))
  assert.deepEqual(told(await take(watch, 3)), ['ADDED a', 'ADDED b', 'DELETED a'])
  assert.equal(
    await server.refused(400, 'GET', `${foos}?fieldSelector=spec.size%3D3`),
    'field label not supported: spec.size',
  )
})

test("OpenAPI publishes the author's schema", async () => {
  const nullable = { ...text, nullable: true }
  const free = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { a: text } }
  const server = await serving({
    description: 'A foo.',
    ...specOf(object({ nullable, free, kinds: { ...text, anyOf: [{ minLength: 1 }] } }, { required: ['nullable'] })),
  })
  const read = async (path: string) => JSON.parse((await server.call('GET', path)).text!)
  const v3 = (await read('/openapi/v3/apis/example.com/v1')).components.schemas['com.example.v1.Foo']
  assert.equal(v3.description, 'A foo.')
  assert.deepEqual(v3['x-kubernetes-group-version-kind'], [{ group: 'example.com', kind: 'Foo', version: 'v1' }])
  assert.deepEqual(Object.keys(v3.properties).sort(), ['apiVersion', 'kind', 'metadata', 'spec'])
  assert.deepEqual(v3.properties.spec.properties.free, free)
  assert.deepEqual(v3.properties.spec.required, ['nullable'])
  const v2 = (await read('/openapi/v2')).definitions['com.example.v1.Foo']
  assert.deepEqual(v2.properties.spec, {
    type: 'object',
    properties: { nullable: {}, free: { 'x-kubernetes-preserve-unknown-fields': true }, kinds: text },
  })
  await server.ok('DELETE', `${definitions}/foos.example.com`)
})

test('server-side apply merges by the list keys of the schema', async () => {
  const ports = {
    type: 'array',
    items: object({ name: text, port: number }, { required: ['name'] }),
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['name'],
  }
  const server = await serving(specOf(object({ ports })))
  const apply = (manager: string, spec: object) =>
    server.ok('PATCH', `${foos}/a?fieldManager=${manager}`, JSON.stringify(foo('a', spec)), patchType('apply'))
  await apply('one', { ports: [{ name: 'http', port: 80 }] })
  const both = await apply('two', { ports: [{ name: 'https', port: 443 }] })
  assert.deepEqual(both.spec.ports, [
    { name: 'http', port: 80 },
    { name: 'https', port: 443 },
  ])
  const left = await apply('one', { ports: [] })
  assert.deepEqual(left.spec.ports, [{ name: 'https', port: 443 }])
})
