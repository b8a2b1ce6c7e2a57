// Decoding, defaults and validation by schema: what is dropped, what is refused, and in which words.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fieldErrorBody } from '../errors.ts'
import { deploymentKind, sampleDeployment, widgetKind } from '../sample.fixture.ts'
import { decode, strictDecodingText, unknownFieldText } from './decode.ts'
import { applyDefaults } from './defaults.ts'
import { objectShape, shapeOf } from './shape.ts'
import { validateSchema } from './validate.ts'

const deployment = objectShape(deploymentKind)
const widget = objectShape(widgetKind)
const widgetWith = (spec: unknown) => ({ apiVersion: 'x.dev/v1', kind: 'Widget', metadata: { name: 'w' }, spec })

test('unknown fields are named with their path and dropped', () => {
  const input = sampleDeployment()
  input.spec.foo = 1
  input.spec.template.spec.containers[0].bar = {}
  input.metadata.labels.fine = 'x'
  const { object, unknown, wrong } = decode(input, deployment, 'typed', 'Deployment')
  assert.deepEqual(unknown, ['spec.template.spec.containers[0].bar', 'spec.foo'])
  assert.equal(wrong, undefined)
  assert.equal(object.spec.foo, undefined)
  assert.equal(input.spec.foo, 1, 'the input is not touched')
  assert.equal(
    strictDecodingText(unknown.map(unknownFieldText)),
    'strict decoding error: unknown field "spec.template.spec.containers[0].bar", unknown field "spec.foo"',
  )
})

const wrongTypes: [name: string, path: string[], value: unknown, text: string][] = [
  [
    'string for int32',
    ['spec', 'replicas'],
    'two',
    'string into Go struct field DeploymentSpec.spec.replicas of type int32',
  ],
  ['fraction', ['spec', 'replicas'], 1.5, 'number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32'],
  [
    'too large',
    ['spec', 'replicas'],
    3e9,
    'number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32',
  ],
  [
    'string for a list',
    ['spec', 'template', 'spec', 'containers'],
    'x',
    'string into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container',
  ],
  [
    'number in a list',
    ['spec', 'template', 'spec', 'containers', '0', 'image'],
    5,
    'number into Go struct field Container.spec.template.spec.containers.image of type string',
  ],
  [
    'number for a label',
    ['metadata', 'labels', 'a'],
    1,
    'number into Go struct field ObjectMeta.metadata.labels of type string',
  ],
  [
    'list for a struct',
    ['spec', 'template'],
    [],
    'array into Go struct field DeploymentSpec.spec.template of type v1.PodTemplateSpec',
  ],
  ['spec of the wrong type', ['spec'], 'x', 'string into Go struct field Deployment.spec of type v1.DeploymentSpec'],
  [
    'bool for int-or-string',
    ['spec', 'strategy', 'rollingUpdate', 'maxSurge'],
    true,
    'bool into Go struct field DeploymentSpec.spec.strategy.rollingUpdate.maxSurge of type int32',
  ],
]

function withValue(path: string[], value: unknown): any {
  const object = sampleDeployment()
  object.spec.strategy = { rollingUpdate: {} }
  let at: any = object
  for (const step of path.slice(0, -1)) at = at[step]
  at[path.at(-1)!] = value
  return object
}

for (const [name, path, value, text] of wrongTypes)
  test(`wrong type: ${name}`, () => {
    const { wrong } = decode(withValue(path, value), deployment, 'typed', 'Deployment')
    assert.equal(wrong, `json: cannot unmarshal ${text}`)
  })

test('quantities become canonical, bad ones are refused in upstream words', () => {
  const limits = (value: unknown) =>
    withValue(['spec', 'template', 'spec', 'containers', '0', 'resources'], { limits: { cpu: value } })
  const read = (value: unknown) => decode(limits(value), deployment, 'typed', 'Deployment')
  const cpu = (value: unknown) => read(value).object.spec.template.spec.containers[0].resources.limits.cpu
  assert.equal(cpu('1000m'), '1')
  assert.equal(cpu(0.5), '500m')
  assert.match(
    read('lots').wrong ?? '',
    /^spec\.template\.spec\.containers\[0\]\.resources\.limits\.cpu: quantities must match the regular expression/,
  )
  assert.match(read('1x').wrong ?? '', /limits\.cpu: quantities must match/)
  assert.match(read('1i').wrong ?? '', /: unable to parse quantity's suffix$/)
})

test('what Go leaves out when it writes is left out; what it keeps is kept', () => {
  const input = sampleDeployment()
  input.spec.replicas = 0
  input.spec.minReadySeconds = 0
  input.spec.template.spec.hostNetwork = false
  input.spec.template.spec.containers[0].command = []
  input.spec.template.spec.volumes = null
  input.metadata.creationTimestamp = null
  input.metadata.annotations = {}
  const { object } = decode(input, deployment, 'typed', 'Deployment')
  assert.equal(object.spec.replicas, 0)
  assert.equal('minReadySeconds' in object.spec, false)
  assert.equal('hostNetwork' in object.spec.template.spec, false)
  assert.equal('command' in object.spec.template.spec.containers[0], false)
  assert.deepEqual(object.spec.template.spec.containers[0].resources, {})
  assert.deepEqual(Object.keys(object.metadata), ['name', 'namespace', 'labels'])
})

test('a custom resource keeps its values, nulls only where they are allowed, metadata is typed', () => {
  const { object, unknown } = decode(
    { ...widgetWith({ size: 0, tags: [], note: null, code: null, extra: { a: { b: null } }, port: '80' }), bogus: 1 },
    widget,
    'structural',
  )
  assert.deepEqual(object.spec, { size: 0, tags: [], note: null, extra: { a: { b: null } }, port: '80' })
  assert.deepEqual(unknown, ['bogus'])
  const bad = decode({ metadata: { labels: { a: 1 } } }, widget, 'structural', 'Widget')
  assert.equal(
    bad.wrong,
    'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string',
  )
})

test('names of Object.prototype are ordinary keys, __proto__ is refused as unknown', () => {
  const input = JSON.parse(
    '{"metadata":{"labels":{"constructor":"a","__proto__":"b"}},"spec":{"extra":{"__proto__":{"x":1},"toString":"y"},"constructor":1}}',
  )
  const { object, unknown } = decode(input, widget, 'structural')
  assert.deepEqual(Object.keys(object.metadata.labels), ['constructor'])
  assert.deepEqual(Object.keys(object.spec.extra), ['toString'])
  assert.deepEqual(unknown, ['metadata.labels.__proto__', 'spec.extra.__proto__', 'spec.constructor'])
  assert.equal(({} as any).x, undefined)
})

test('data that is too deep is refused, not overflowed', () => {
  const deep = JSON.parse(`${'{"a":'.repeat(9000)}1${'}'.repeat(9000)}`)
  assert.throws(() => decode(widgetWith({ extra: deep }), widget, 'structural'), /exceeded max depth/)
})

test('defaults fill what is missing, also in lists and below', () => {
  const { object } = decode(sampleDeployment(), deployment, 'typed')
  delete object.spec.replicas
  applyDefaults(object, deployment)
  assert.equal(object.spec.replicas, 1)
  assert.equal(object.spec.template.spec.restartPolicy, 'Always')
  assert.equal(object.spec.template.spec.containers[0].ports[0].protocol, 'TCP')
  const custom = widgetWith({ parts: [{ name: 'a' }], color: null })
  applyDefaults(custom, widget)
  assert.deepEqual(custom.spec, { parts: [{ name: 'a', amount: 1 }], color: 'red' })
})

test('a default is a copy of its own', () => {
  const shape = shapeOf({
    type: 'object',
    properties: { a: { type: 'object', default: { b: [] }, preserveUnknown: true } },
  })
  const [one, two]: any[] = [{}, {}]
  applyDefaults(one, shape)
  applyDefaults(two, shape)
  one.a.b.push(1)
  assert.deepEqual(two, { a: { b: [] } })
})

const structural: [spec: any, texts: string[]][] = [
  [{ size: 3 }, []],
  [{}, ['spec.size: Required value']],
  [{ size: '3' }, ['spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"']],
  [{ size: 11 }, ['spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10']],
  [{ size: 0 }, ['spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1']],
  [{ size: 1, color: 'blue' }, ['spec.color: Unsupported value: "blue": supported values: "red", "green"']],
  [{ size: 1, code: 'A1' }, [`spec.code: Invalid value: "A1": spec.code in body should match '^[a-z]+$'`]],
  [{ size: 1, code: 'abcde' }, ['spec.code: Too long: may not be more than 4 bytes']],
  // Text that is too long by far is not held against the pattern as well.
  [{ size: 1, code: 'A'.repeat(5000) }, ['spec.code: Too long: may not be more than 4 bytes']],
  [{ size: 1, code: 'a' }, ['spec.code: Invalid value: "a": spec.code in body should be at least 2 chars long']],
  [{ size: 1, ratio: 0.3 }, ['spec.ratio: Invalid value: 0.3: spec.ratio in body should be a multiple of 0.5']],
  [{ size: 1, ratio: 0 }, ['spec.ratio: Invalid value: 0: spec.ratio in body should be greater than 0']],
  [{ size: 1, tags: ['a', 'b', 'a'] }, ['spec.tags[2]: Duplicate value: "a"']],
  [{ size: 1, tags: ['a', 'b', 'c', 'd'] }, ['spec.tags: Too many: 4: must have at most 3 items']],
  [{ size: 1, parts: [] }, ['spec.parts: Invalid value: 0: spec.parts in body should have at least 1 items']],
  [{ size: 1, parts: [{ name: 'a' }, { name: 'a' }] }, ['spec.parts[1]: Duplicate value: {"name":"a"}']],
  [
    { size: 1, parts: [{ amount: 'x' }] },
    [
      'spec.parts[0].name: Required value',
      'spec.parts[0].amount: Invalid value: "string": spec.parts[0].amount in body must be of type integer: "string"',
    ],
  ],
  [
    { size: 1, port: true },
    ['spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"'],
  ],
  [{ size: 1, at: 'noon' }, ['spec.at: Invalid value: "noon": spec.at in body must be of type date-time: "noon"']],
  [{ size: 1, labels: {} }, ['spec.labels: Invalid value: 0: spec.labels in body should have at least 1 properties']],
  [
    { size: 1, source: {} },
    ['<nil>: Invalid value: "": "spec.source" must validate one and only one schema (oneOf). Found none valid'],
  ],
  [{ size: 1, source: { url: 'a' } }, []],
]

for (const [spec, texts] of structural)
  test(`validation of ${JSON.stringify(spec)}`, () => {
    const errors = validateSchema(widgetWith(spec), widget, 'structural')
    assert.deepEqual(
      errors.map((error) => `${error.field}: ${fieldErrorBody(error)}`),
      texts,
    )
  })

test('a built-in kind: required texts and lists, enums; not numbers, not status', () => {
  const object = sampleDeployment()
  delete object.spec.selector
  object.spec.template.spec.containers[0].name = ''
  object.spec.template.spec.containers[0].ports.push({ protocol: 'ICMP' })
  object.spec.template.spec.restartPolicy = 'Sometimes'
  const errors = validateSchema(object, deployment, 'typed')
  assert.deepEqual(
    errors.map((error) => `${error.field}: ${fieldErrorBody(error)}`),
    [
      'spec.selector: Required value',
      'spec.template.spec.containers[0].name: Required value',
      'spec.template.spec.containers[0].ports[1].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
      'spec.template.spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"',
    ],
  )
})

test('a type may contain itself', () => {
  const types = {
    Node: {
      type: 'object' as const,
      properties: { name: { type: 'string' as const, default: 'x' }, next: { ref: 'Node' } },
    },
  }
  const shape = shapeOf({ ref: 'Node' }, types)
  const value: any = { next: { next: {} } }
  applyDefaults(value, shape)
  assert.deepEqual(value, { name: 'x', next: { name: 'x', next: { name: 'x' } } })
  assert.throws(() => shapeOf({ ref: 'Missing' }, types), /Missing/)
})
