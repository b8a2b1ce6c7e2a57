// Quantities, names, metadata rules, selectors, JSONPath, times and tables: tables of cases.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fieldErrorBody } from './errors.ts'
import { escapeFieldValue, parseFieldSelector } from './field-selector.ts'
import { firstAt, jsonPath, jsonPathTemplate } from './jsonpath.ts'
import type { Column } from './kind.ts'
import * as names from './names.ts'
import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  quantityMilli,
  quantityValue,
} from './quantity.ts'
import { parseLabelSelector, selectorMatcher, selectorText, validateSelector } from './selector.ts'
import { ageColumn, tableRow, toTable } from './table.ts'
import {
  canonicalMicroTime,
  canonicalTime,
  formatDurationNanos,
  humanDuration,
  parseDurationNanos,
  timeError,
} from './time.ts'
import { validateFieldManager, validateMetaCreate, validateMetaUpdate } from './validate-meta.ts'

const canonical: [string, string][] = [
  ['0', '0'],
  ['00', '0'],
  ['0.0', '0'],
  ['1', '1'],
  ['1000', '1k'],
  ['1000m', '1'],
  ['1500m', '1500m'],
  ['0.5', '500m'],
  ['.5', '500m'],
  ['1.5', '1500m'],
  ['100Mi', '100Mi'],
  ['1024Mi', '1Gi'],
  ['1.5Gi', '1536Mi'],
  ['0.5Ki', '512'],
  ['1e3', '1e3'],
  ['1E3', '1E3'],
  ['1e4', '10e3'],
  ['12E', '12E'],
  ['1n', '1n'],
  ['0.1n', '1n'],
  ['0.5Mi', '512Ki'],
  ['-1500m', '-1500m'],
  ['1.500', '1.500'],
  ['0.500', '500m'],
  ['9223372036854775807', '9223372036854775807'],
  ['16Ei', '9223372036854775807'],
  ['2000000', '2M'],
  ['100m', '100m'],
  ['1023', '1023'],
  ['64Ki', '64Ki'],
  ['1000Ki', '1000Ki'],
]
for (const [text, wanted] of canonical)
  test(`quantity ${text} is stored as ${wanted}`, () => assert.equal(canonicalQuantity(text), wanted))

test('quantities compare, add and round exactly', () => {
  assert.equal(compareQuantities(parseQuantity('1Gi'), parseQuantity('1G')), 1)
  assert.equal(compareQuantities(parseQuantity('1'), parseQuantity('1000m')), 0)
  assert.equal(formatQuantity(addQuantities(parseQuantity('100m'), parseQuantity('0.9'))), '1')
  assert.equal(formatQuantity(addQuantities(parseQuantity('512Mi'), parseQuantity('512Mi'))), '1Gi')
  assert.equal(quantityMilli(parseQuantity('0.0001')), 1n)
  assert.equal(quantityValue(parseQuantity('1.5')), 2n)
  for (const bad of ['', 'abc', '1.1.M', '1+1.0M', ' 1', '1 ', 'Ki', '+', '1'.repeat(300)])
    assert.throws(() => parseQuantity(bad), /regular expression/, bad)
  for (const bad of ['1i', '1mi1', '1Kim', '1e', '1mK']) assert.throws(() => parseQuantity(bad), /suffix/, bad)
})

test('names: rules and texts', () => {
  assert.deepEqual(names.dnsLabelProblems('my-name'), [])
  assert.deepEqual(names.dnsLabelProblems('a.b'), ['must not contain dots'])
  assert.deepEqual(names.dnsLabelProblems('My_Name'), [
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
  ])
  assert.deepEqual(names.dnsLabelProblems('a'.repeat(64)), ['must be no more than 63 characters'])
  assert.match(
    names.dnsSubdomainProblems('Web')[0]!,
    /^a lowercase RFC 1123 subdomain must consist of .*'example.com', regex used for validation is/,
  )
  assert.deepEqual(names.dns1035LabelProblems('a1'), [])
  assert.match(names.dns1035LabelProblems('1a')[0]!, /^a DNS-1035 label must/)
  assert.deepEqual(names.qualifiedNameProblems('app.kubernetes.io/name'), [])
  assert.deepEqual(names.qualifiedNameProblems('/x'), ['prefix part must be non-empty'])
  assert.match(
    names.qualifiedNameProblems('a/b/c')[0]!,
    /^a qualified name must consist of .* with an optional DNS subdomain prefix and '\/' \(e.g. 'example.com\/MyName'\)$/,
  )
  assert.match(names.labelValueProblems('a b')[0]!, /^a valid label must be an empty string or consist of alphanumeric/)
  assert.deepEqual(names.pathSegmentProblems('system:node/x'), ["may not contain '/'"])
  assert.deepEqual(names.nameProblems('dns-subdomain', 'web-', true), [])
  assert.deepEqual(names.portNameProblems('http'), [])
  assert.match(names.generatedName('web-'), /^web-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
  assert.equal(names.generatedName('a'.repeat(80)).length, 63)
})

const bodies = (errors: Parameters<typeof fieldErrorBody>[0][]) =>
  errors.map((error) => `${error.field}: ${fieldErrorBody(error)}`)

test('metadata on create', () => {
  assert.deepEqual(validateMetaCreate({ name: 'web', namespace: 'default' }, { namespaced: true }), [])
  assert.deepEqual(bodies(validateMetaCreate({}, { namespaced: true })), [
    'metadata.name: Required value: name or generateName is required',
    'metadata.namespace: Required value',
  ])
  assert.deepEqual(bodies(validateMetaCreate({ name: 'n', namespace: 'x' }, { namespaced: false })), [
    'metadata.namespace: Forbidden: not allowed on this type',
  ])
  const owner = { apiVersion: 'v1', kind: 'Pod', name: 'a', uid: '', controller: true }
  assert.deepEqual(bodies(validateMetaCreate({ name: 'n', ownerReferences: [owner] }, { namespaced: false })), [
    'metadata.ownerReferences[0].uid: Required value: must not be empty',
  ])
  assert.equal(
    validateMetaCreate({ name: 'n', annotations: { a: 'x'.repeat(262145) } }, { namespaced: false }).length,
    1,
  )
})

test('metadata on update', () => {
  const old = { name: 'web', uid: '1', resourceVersion: '5', creationTimestamp: '2026-01-01T00:00:00Z' }
  assert.deepEqual(validateMetaUpdate({ ...old, labels: { a: 'b' } }, old), [])
  assert.deepEqual(bodies(validateMetaUpdate({ ...old, name: 'other' }, old)), [
    'metadata.name: Invalid value: "other": field is immutable',
  ])
  assert.deepEqual(bodies(validateMetaUpdate({ ...old, resourceVersion: '' }, old)), [
    'metadata.resourceVersion: Invalid value: "": must be specified for an update',
  ])
  assert.match(
    bodies(
      validateMetaUpdate({ ...old, deletionTimestamp: 't', finalizers: ['a/b'] }, { ...old, deletionTimestamp: 't' }),
    )[0]!,
    /no new finalizers can be added if the object is being deleted, found new finalizers \[\]string\{"a\/b"\}/,
  )
  assert.equal(validateFieldManager('kubectl-client-side-apply').length, 0)
  assert.match(bodies(validateFieldManager('a\nb'))[0]!, /invalid character U\+000A \(at position 1\)/)
})

const labelCases: [selector: string, labels: Record<string, string>, matches: boolean][] = [
  ['', { a: '1' }, true],
  ['a=1', { a: '1' }, true],
  ['a==1', { a: '2' }, false],
  ['a!=1', {}, true],
  ['a!=1', { a: '1' }, false],
  ['a', { a: '' }, true],
  ['!a', { a: '' }, false],
  ['!a', {}, true],
  ['a in (1, 2)', { a: '2' }, true],
  ['a in (1,2)', {}, false],
  ['a notin (1)', {}, true],
  ['a notin (1)', { a: '1' }, false],
  ['a=', { a: '' }, true],
  ['a in ()', { a: '' }, true],
  ['a in (x,)', { a: '' }, true],
  ['a=1,b', { a: '1' }, false],
  ['a>3', { a: '4' }, true],
  ['a<3', { a: '4' }, false],
  ['in in (in)', { in: 'in' }, true],
  ['toString', {}, false],
]
for (const [selector, labels, wanted] of labelCases)
  test(`label selector '${selector}' and ${JSON.stringify(labels)}`, () =>
    assert.equal(parseLabelSelector(selector).matches(labels), wanted))

const badSelectors: [string, string][] = [
  ['a=1,', "found '', expected: identifier after ','"],
  [',a', "found ',', expected: !, identifier, or 'end of string'"],
  ['a b', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
  ['a in 1', "unable to parse requirement: found '1' expected: '('"],
  ['a in (1', "unable to parse requirement: found '', expected: ',' or ')'"],
  ['a=1 b', "found 'b', expected: ',' or 'end of string'"],
  ['!', "unable to parse requirement: found '', expected: identifier"],
]
for (const [selector, text] of badSelectors)
  test(`label selector '${selector}' is refused`, () =>
    assert.throws(() => parseLabelSelector(selector), { reason: 'BadRequest', message: text }))

test('selectors of specs', () => {
  const matcher = selectorMatcher({
    matchLabels: { app: 'web' },
    matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['db', 'a'] }],
  })
  assert.equal(matcher.matches({ app: 'web' }), true)
  assert.equal(matcher.matches({ app: 'web', tier: 'db' }), false)
  assert.equal(selectorText(matcher), 'app=web,tier notin (a,db)')
  assert.equal(selectorMatcher(undefined).matches({}), false)
  assert.equal(selectorMatcher({}).matches({}), true)
  assert.deepEqual(bodies(validateSelector({ matchExpressions: [{ key: 'a', operator: 'In' }] }, 'spec.selector')), [
    "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
  ])
})

test('field selectors', () => {
  const pod: any = { metadata: { name: 'a', namespace: 'n' }, status: { phase: 'Running' } }
  const fields = { 'status.phase': (object: any) => object.status?.phase ?? '' }
  assert.equal(parseFieldSelector('status.phase!=Pending,metadata.name=a', fields).matches(pod), true)
  assert.equal(parseFieldSelector('status.phase==Running', fields).matches(pod), true)
  assert.equal(parseFieldSelector('metadata.name=b').matches(pod), false)
  assert.equal(parseFieldSelector('metadata.name=b').exact('metadata.name'), 'b')
  assert.equal(parseFieldSelector(`metadata.name=${escapeFieldValue('a,b=c\\')}`).terms[0]!.value, 'a,b=c\\')
  assert.throws(() => parseFieldSelector('spec.x=1'), { message: 'field label not supported: spec.x' })
  assert.throws(() => parseFieldSelector('constructor=1'), { message: 'field label not supported: constructor' })
  assert.throws(() => parseFieldSelector('abc'), { message: "invalid selector: 'abc'; can't understand 'abc'" })
})

const object = {
  metadata: { name: 'p', labels: { 'a.b/c': 'x' } },
  items: [
    { n: 1, type: 'A' },
    { n: 2, type: 'Ready', status: 'True' },
  ],
  status: { phase: 'Run' },
}
const paths: [string, unknown[]][] = [
  ['.status.phase', ['Run']],
  ['{.status.phase}', ['Run']],
  ['$.status.phase', ['Run']],
  ['.items[*].n', [1, 2]],
  ['.items[1].n', [2]],
  ['.items[-1].n', [2]],
  ['.items[0:1].n', [1]],
  ['.items[?(@.type=="Ready")].status', ['True']],
  ['.items[?(@.n>1)].type', ['Ready']],
  ['.items[?(@.status)].n', [2]],
  [".metadata.labels['a\\.b/c']", ['x']],
  ['.metadata.labels.a\\.b/c', ['x']],
  ['..n', [1, 2]],
  ['.missing.deep', []],
  ['.constructor', []],
  ["['status','metadata'].phase", ['Run']],
]
for (const [path, wanted] of paths) test(`JSONPath ${path}`, () => assert.deepEqual(jsonPath(path)(object), wanted))

test('JSONPath: what does not parse is refused; templates', () => {
  for (const bad of ['.a[', '.a[?(x)]', '.a b']) assert.throws(() => jsonPath(bad), /unrecognized JSONPath/, bad)
  assert.equal(jsonPathTemplate('{.metadata.name}{"\\t"}{.items[*].n}')(object), 'p\t1 2')
  assert.equal(firstAt(object, '.status.phase'), 'Run')
})

test('times and durations', () => {
  assert.equal(canonicalTime('2026-01-01T02:00:00.5+02:00'), '2026-01-01T00:00:00Z')
  assert.equal(canonicalTime('2026-02-30T00:00:00Z'), undefined)
  assert.equal(canonicalMicroTime('2026-01-01T00:00:00.1234567Z'), '2026-01-01T00:00:00.123456Z')
  assert.equal(timeError('noon'), 'parsing time "noon" as "2006-01-02T15:04:05Z07:00": cannot parse "noon" as "2006"')
  assert.equal(timeError('2026-13-01T00:00:00Z'), 'parsing time "2026-13-01T00:00:00Z": month out of range')
  for (const [text, wanted] of [
    ['1h', '1h0m0s'],
    ['90s', '1m30s'],
    ['1.5s', '1.5s'],
    ['250ms', '250ms'],
    ['0', '0s'],
    ['-1m', '-1m0s'],
    ['1us', '1µs'],
  ])
    assert.equal(formatDurationNanos(parseDurationNanos(text!)!), wanted)
  assert.equal(parseDurationNanos('1x'), undefined)
  const ages: [number, string][] = [
    [-5, '<invalid>'],
    [-1, '0s'],
    [0, '0s'],
    [119, '119s'],
    [120, '2m'],
    [200, '3m20s'],
    [600, '10m'],
    [10_800, '3h'],
    [11_000, '3h3m'],
    [172_000, '47h'],
    [172_800, '2d'],
    [190_000, '2d4h'],
    [86_400 * 100, '100d'],
    [86_400 * 800, '2y70d'],
    [86_400 * 4000, '10y'],
  ]
  for (const [seconds, wanted] of ages) assert.equal(humanDuration(seconds * 1000), wanted)
})

test('tables', () => {
  const columns: Column[] = [
    { name: 'Phase', type: 'string', value: '.status.phase' },
    { name: 'Count', type: 'integer', value: '.status.count', priority: 1 },
    ageColumn,
  ]
  const now = Date.UTC(2026, 0, 1, 0, 5)
  const pod: any = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a', creationTimestamp: '2026-01-01T00:00:00Z' },
    status: { phase: 'Running' },
  }
  const table = toTable([pod], columns, { now, metadata: { resourceVersion: '7' } })
  assert.deepEqual(
    table.columnDefinitions?.map((column) => [column.name, column.priority]),
    [
      ['Name', 0],
      ['Phase', 0],
      ['Count', 1],
      ['Age', 0],
    ],
  )
  assert.deepEqual(table.rows[0]!.cells, ['a', 'Running', null, '5m'])
  assert.deepEqual(table.rows[0]!.object, {
    kind: 'PartialObjectMetadata',
    apiVersion: 'meta.k8s.io/v1',
    metadata: pod.metadata,
  })
  assert.equal(tableRow(pod, columns, { now, includeObject: 'Object' }).object, pod)
  assert.equal('object' in tableRow(pod, columns, { now, includeObject: 'None' }), false)
})
