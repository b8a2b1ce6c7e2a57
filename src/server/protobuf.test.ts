// Bodies as kubectl writes them, put together by hand from field numbers.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { isApiError } from '../api/errors.ts'
import { decodeProtobuf } from './protobuf.ts'

type Write = (writer: BinaryWriter) => void

const message = (write: Write): Uint8Array => {
  const writer = new BinaryWriter()
  write(writer)
  return writer.finish()
}
const text =
  (field: number, value: string): Write =>
  (writer) =>
    void writer.tag(field, WireType.LengthDelimited).string(value)
const number =
  (field: number, value: number): Write =>
  (writer) =>
    void writer.tag(field, WireType.Varint).int64(value)
const inner =
  (field: number, ...parts: Write[]): Write =>
  (writer) =>
    void writer.tag(field, WireType.LengthDelimited).bytes(message((each) => parts.forEach((part) => void part(each))))
const raw =
  (field: number, bytes: Uint8Array): Write =>
  (writer) =>
    void writer.tag(field, WireType.LengthDelimited).bytes(bytes)

function body(apiVersion: string, kind: string, ...parts: Write[]): Uint8Array {
  const object = message((writer) => parts.forEach((part) => void part(writer)))
  const envelope = message((writer) => {
    inner(1, text(1, apiVersion), text(2, kind))(writer)
    raw(2, object)(writer)
    text(3, '')(writer)
    text(4, '')(writer)
  })
  return Uint8Array.of(0x6b, 0x38, 0x73, 0, ...envelope)
}

test('a Deployment: embedded messages, maps, quantities, numbers or names', () => {
  const container = inner(
    2,
    text(1, 'web'),
    text(2, 'nginx:1.27'),
    inner(6, text(1, 'http'), number(3, 80), text(4, 'TCP')),
    inner(8, inner(2, text(1, 'cpu'), inner(2, text(1, '100m')))),
    // livenessProbe with its handler as an embedded message: httpGet on a named port
    inner(10, inner(1, inner(2, text(1, '/'), inner(2, number(1, 1), number(2, 0), text(3, 'http')))), number(3, 5)),
  )
  const volume = inner(1, text(1, 'v'), inner(2, inner(2)))
  const bytes = body(
    'apps/v1',
    'Deployment',
    inner(1, text(1, 'web'), text(5, ''), inner(8), inner(11, text(1, 'app'), text(2, 'web'))),
    inner(2, number(1, 0), inner(2, inner(1, text(1, 'app'), text(2, 'web'))), inner(3, inner(2, volume, container))),
    inner(3, number(1, 0)),
  )
  assert.deepEqual(decodeProtobuf(bytes), {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', labels: { app: 'web' } },
    spec: {
      replicas: 0,
      selector: { matchLabels: { app: 'web' } },
      template: {
        spec: {
          volumes: [{ name: 'v', emptyDir: {} }],
          containers: [
            {
              name: 'web',
              image: 'nginx:1.27',
              ports: [{ name: 'http', containerPort: 80, protocol: 'TCP' }],
              resources: { requests: { cpu: '100m' } },
              livenessProbe: { httpGet: { path: '/', port: 'http' }, timeoutSeconds: 5 },
            },
          ],
        },
      },
    },
    status: {},
  })
})

test('bytes become base64, times become text', () => {
  const bytes = body(
    'v1',
    'Secret',
    inner(1, text(1, 's'), inner(8, number(1, 1767225600), number(2, 0))),
    inner(2, text(1, 'key'), raw(2, Uint8Array.of(0, 255))),
  )
  assert.deepEqual(decodeProtobuf(bytes), {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's', creationTimestamp: '2026-01-01T00:00:00Z' },
    data: { key: 'AP8=' },
  })
})

test('lists of numbers, packed or not', () => {
  const packed = message((writer) => void writer.int64(1).int64(2))
  const groups = (...parts: Write[]) => body('v1', 'Pod', inner(2, inner(14, ...parts)))
  const want = { apiVersion: 'v1', kind: 'Pod', spec: { securityContext: { supplementalGroups: [1, 2] } } }
  assert.deepEqual(decodeProtobuf(groups(number(4, 1), number(4, 2))), want)
  assert.deepEqual(decodeProtobuf(groups(raw(4, packed))), want)
})

test('a list that is a message of its own', () => {
  const extra = inner(4, text(1, 'scopes'), inner(2, text(1, 'a'), text(1, 'b')))
  const bytes = body('authentication.k8s.io/v1', 'TokenReview', inner(3, inner(2, text(1, 'jane'), extra)))
  assert.deepEqual((decodeProtobuf(bytes) as any).status.user, { username: 'jane', extra: { scopes: ['a', 'b'] } })
})

test('values of several forms: a schema or a list of them, a schema or a boolean', () => {
  const schema = (...parts: Write[]) => inner(1, ...parts)
  // spec (2) → versions (7) → schema (4) → openAPIV3Schema (1)
  const definition = (...parts: Write[]) =>
    body('apiextensions.k8s.io/v1', 'CustomResourceDefinition', inner(2, inner(7, inner(4, schema(...parts)))))
  const read = (...parts: Write[]): any =>
    (decodeProtobuf(definition(...parts)) as any).spec.versions[0].schema.openAPIV3Schema
  assert.deepEqual(read(inner(24, inner(1, text(5, 'string')))), { items: { type: 'string' } })
  assert.deepEqual(read(inner(24, inner(2, text(5, 'string')), inner(2, text(5, 'number')))), {
    items: [{ type: 'string' }, { type: 'number' }],
  })
  assert.deepEqual(read(inner(30, number(1, 1), inner(2, text(5, 'string')))), {
    additionalProperties: { type: 'string' },
  })
  assert.deepEqual(read(inner(30, number(1, 1))), { additionalProperties: true })
  assert.deepEqual(read(inner(44, text(1, 'self'))), { 'x-kubernetes-validations': [{ rule: 'self' }] })
})

test('options of a delete belong to any group', () => {
  const options = body('apps/v1', 'DeleteOptions', number(1, 0), text(4, 'Foreground'))
  assert.deepEqual(decodeProtobuf(options), {
    apiVersion: 'apps/v1',
    kind: 'DeleteOptions',
    gracePeriodSeconds: 0,
    propagationPolicy: 'Foreground',
  })
})

test('negative numbers and unknown fields', () => {
  const bytes = body('scheduling.k8s.io/v1', 'PriorityClass', number(2, -5), text(99, 'later'), number(98, 1))
  assert.deepEqual(decodeProtobuf(bytes), { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', value: -5 })
})

test('a key that would change the prototype is dropped', () => {
  const bytes = body(
    'v1',
    'ConfigMap',
    inner(2, text(1, '__proto__'), text(2, 'x')),
    inner(2, text(1, 'a'), text(2, 'b')),
  )
  const { data } = decodeProtobuf(bytes) as any
  assert.deepEqual(data, { a: 'b' })
  assert.equal(Object.getPrototypeOf(data), Object.prototype)
})

test('what cannot be read is a bad request', () => {
  const good = body('v1', 'Pod', inner(2, text(3, 'Never')))
  const bodies = {
    'no magic': new TextEncoder().encode('{}'),
    'cut off': good.subarray(0, good.length - 5),
    'unknown kind': body('v1', 'Nothing'),
    empty: new Uint8Array(),
    noise: Uint8Array.of(0x6b, 0x38, 0x73, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
  }
  for (const [name, bytes] of Object.entries(bodies))
    assert.throws(
      () => decodeProtobuf(bytes),
      (error) => isApiError(error, 'BadRequest'),
      name,
    )
})
