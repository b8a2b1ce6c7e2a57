// The rules of CustomResourceDefinitions by table: what is refused, and in which words.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fieldErrorBody } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { copyJson } from '../../api/walk/plain.ts'
import { customResourceDefinition } from './customresourcedefinition.ts'
import type { JsonSchema } from './json-schema.ts'
import { decideNames } from './names.ts'

const at = 'spec.versions[0].schema.openAPIV3Schema'

function definition(schema: JsonSchema, version: object = {}, spec: object = {}): ApiObject {
  const made = copyJson<ApiObject>(customResourceDefinition.example)
  Object.assign(made.spec, spec)
  Object.assign(made.spec.versions[0], version, { schema: { openAPIV3Schema: schema } })
  customResourceDefinition.defaults!(made)
  return made
}

const problems = (made: ApiObject, old?: ApiObject): string[] =>
  customResourceDefinition.validate!(made, old, '').map((error) => `${error.field}: ${fieldErrorBody(error)}`)

/** The problems of a schema for `.spec.x`. */
const ofField = (x: JsonSchema): string[] =>
  problems(definition({ type: 'object', properties: { spec: { type: 'object', properties: { x } } } })).map((text) =>
    text.replace(`${at}.properties[spec].properties[x]`, 'X'),
  )

const structural: [schema: JsonSchema, problem: string][] = [
  [{}, 'X.type: Required value: must not be empty for specified object fields'],
  [{ type: 'array' }, 'X.items: Required value: must be specified'],
  [{ type: 'array', items: {} }, 'X.items.type: Required value: must not be empty for specified array items'],
  [{ type: 'string', anyOf: [{ type: 'string' }] }, 'X.anyOf[0].type: Forbidden: must be empty to be structural'],
  [{ type: 'string', not: { default: 'a' } }, 'X.not.default: Forbidden: must be undefined to be structural'],
  [
    { type: 'object', 'x-kubernetes-embedded-resource': true },
    'X.properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
  ],
  [
    { 'x-kubernetes-int-or-string': true, 'x-kubernetes-preserve-unknown-fields': true },
    'X.x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if x-kubernetes-int-or-string is true',
  ],
]

test('schemas that are not structural', () => {
  for (const [schema, problem] of structural) assert.deepEqual(ofField(schema), [problem])
})

test('what the root says of a field in its logic must be declared', () => {
  const schema = { type: 'object', oneOf: [{ properties: { a: { minimum: 1 } } }] }
  assert.deepEqual(problems(definition(schema)), [
    `${at}.properties[a]: Required value: because it is defined in ${at}.oneOf[0].properties[a]`,
  ])
})

test('schemas that are structural', () => {
  const good: JsonSchema[] = [
    { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] },
    {
      'x-kubernetes-int-or-string': true,
      allOf: [{ anyOf: [{ type: 'integer' }, { type: 'string' }] }, { maxLength: 5 }],
    },
    { type: 'object', additionalProperties: true },
    {
      type: 'object',
      properties: { a: { type: 'string' } },
      anyOf: [{ required: ['a'] }, { properties: { a: { enum: ['b'] } } }],
    },
    { 'x-kubernetes-preserve-unknown-fields': true },
    { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
  ]
  for (const schema of good) assert.deepEqual(ofField(schema), [])
})

const others: [schema: JsonSchema, problem: string][] = [
  [
    { type: 'text' },
    'X.type: Unsupported value: "text": supported values: "array", "boolean", "integer", "number", "object", "string"',
  ],
  [
    { type: 'array', items: { type: 'string' }, uniqueItems: true },
    'X.uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
  ],
  [
    { type: 'object', properties: { a: { type: 'string' } }, additionalProperties: { type: 'string' } },
    'X.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive',
  ],
  [{ type: 'string', $ref: '#/a' }, 'X.$ref: Forbidden: $ref is not supported'],
  [
    {
      type: 'array',
      items: { type: 'object', properties: { k: { type: 'string' } } },
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['k'],
    },
    'X.items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
  ],
  [
    { type: 'array', items: { type: 'object' }, 'x-kubernetes-list-type': 'map' },
    'X.x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map',
  ],
  [
    { type: 'array', items: { type: 'object' }, 'x-kubernetes-list-type': 'set' },
    'X.items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set',
  ],
  [{ type: 'string', default: 5 }, 'X.default: Invalid value: "integer":  in body must be of type string: "integer"'],
  [
    { type: 'object', properties: {}, default: { other: 1 } },
    'X.default: Invalid value: {"other":1}: must not have unknown fields',
  ],
  [{ type: 'string', pattern: '(' }, 'X.pattern: Invalid value: "(": must be a valid regular expression, but isn\'t'],
  [
    { type: 'string', 'x-kubernetes-validations': [{ rule: ' ' }] },
    'X.x-kubernetes-validations[0].rule: Required value: rule is not specified',
  ],
]

test('other rules of schemas', () => {
  for (const [schema, problem] of others) {
    const [found = '', ...more] = ofField(schema)
    assert.ok(found.startsWith(problem), found)
    assert.deepEqual(more, [])
  }
})

test('rules in CEL that do not compile are refused', () => {
  const [found = ''] = ofField({ type: 'string', 'x-kubernetes-validations': [{ rule: 'self == 5' }] })
  assert.match(found, /^X\.x-kubernetes-validations\[0\]\.rule: Invalid value: .*compilation failed: ERROR/)
})

test('items of a computed list are no larger than what they were computed from', () => {
  const rule = "!self.split('.').exists(x, x.matches('^0[0-9]+$'))"
  assert.deepEqual(ofField({ type: 'string', maxLength: 20, 'x-kubernetes-validations': [{ rule }] }), [])
  assert.match(
    ofField({ type: 'string', 'x-kubernetes-validations': [{ rule }] })[0]!,
    /estimated rule cost exceeds budget/,
  )
})

test('a schema that stays as it was is not judged again', () => {
  const old = definition({ type: 'object', properties: { x: {} } })
  assert.equal(problems(old).length, 1)
  assert.deepEqual(problems(copyJson(old), old), [])
})

test('rules of the spec', () => {
  const object: JsonSchema = { type: 'object' }
  assert.deepEqual(problems(definition(object)), [])
  assert.deepEqual(problems(definition(object, {}, { group: 'plain' })), [
    'metadata.name: Invalid value: "fleets.tandem.example": must be spec.names.plural+"."+spec.group',
    'spec.group: Invalid value: "plain": should be a domain with at least one dot',
  ])
  assert.match(
    problems(definition(object, { storage: false }))[0]!,
    /must have exactly one version marked as storage version$/,
  )
  assert.deepEqual(problems(definition(object, { name: 'V1' })).length, 1)
  assert.deepEqual(problems(definition({ ...object, nullable: true })), [
    `${at}.nullable: Forbidden: nullable cannot be true at the root`,
  ])
  assert.deepEqual(problems(definition(object, { deprecationWarning: 'x' })), [
    'spec.versions[0].deprecationWarning: Invalid value: "x": can only be set for deprecated versions',
  ])
  assert.deepEqual(
    problems(definition(object, { additionalPrinterColumns: [{ name: 'A', type: 'text', jsonPath: 'a' }] })),
    [
      'spec.versions[0].additionalPrinterColumns[0].type: Invalid value: "text": must be one of boolean,date,integer,number,string',
      'spec.versions[0].additionalPrinterColumns[0].JSONPath: Invalid value: "a": must be a simple json path starting with .',
    ],
  )
  assert.deepEqual(problems(definition(object, {}, { conversion: { strategy: 'Webhook' } })), [
    'spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook',
    'spec.conversion.conversionReviewVersions: Required value',
  ])
  const selectable = definition(
    { type: 'object', properties: { a: { type: 'object' }, b: { type: 'string' } } },
    { selectableFields: [{ jsonPath: '.b' }, { jsonPath: '.a' }, { jsonPath: '.c' }, { jsonPath: '.b' }] },
  )
  assert.deepEqual(
    problems(selectable).map((text) => text.slice('spec.versions[0].selectableFields'.length)),
    [
      '[1].jsonPath: Invalid value: ".a": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
      '[2].jsonPath: Invalid value: ".c": is an invalid path: does not refer to a valid field',
      '[3].jsonPath: Duplicate value: ".b"',
    ],
  )
})

test('groups of the Kubernetes project need its approval', () => {
  const made = definition({ type: 'object' }, {}, { group: 'x.k8s.io' })
  made.metadata.name = 'fleets.x.k8s.io'
  assert.match(
    problems(made)[0]!,
    /^metadata.annotations\[api-approved.kubernetes.io\]: Required value: protected groups/,
  )
  made.metadata.annotations = { 'api-approved.kubernetes.io': 'https://github.com/kubernetes/kubernetes/pull/1' }
  assert.deepEqual(problems(made), [])
})

test('what objects depend on does not change once they may exist', () => {
  const old = definition({ type: 'object' })
  old.status.conditions = [{ type: 'Established', status: 'True' }]
  const next = copyJson(old)
  next.spec.scope = 'Cluster'
  next.spec.names.kind = 'Other'
  assert.deepEqual(problems(next, old), [
    'spec.scope: Invalid value: "Cluster": field is immutable',
    'spec.names.kind: Invalid value: "Other": field is immutable',
  ])
})

test('a stored version stays in the spec until nobody needs it', () => {
  const made = definition({ type: 'object' })
  made.status.storedVersions = ['v0', 'v1']
  assert.match(
    problems(made)[0]!,
    /^status.storedVersions\[0\]: Invalid value: "v0": missing from spec.versions; v0 was/,
  )
})

test('names are given to who has them, then to who asks first', () => {
  const first = definition({ type: 'object' }, {}, {})
  first.spec.names.shortNames = ['fl', 'fle']
  const decided = decideNames(first, [])
  assert.equal(decided.condition.status, 'True')
  first.status.acceptedNames = decided.accepted
  assert.equal(decideNames(first, []).condition.reason, 'NoConflicts')
  const second = copyJson(first)
  second.status.acceptedNames = {}
  second.spec.names = {
    plural: 'others',
    singular: 'other',
    kind: 'Other',
    listKind: 'OtherList',
    shortNames: ['fl', 'o'],
  }
  const { accepted, condition } = decideNames(second, [first])
  assert.deepEqual([condition.reason, condition.message], ['ShortNamesConflict', '"fl" is already in use'])
  assert.deepEqual([accepted.plural, accepted.shortNames], ['others', undefined])
})
