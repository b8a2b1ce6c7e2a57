// JSON, merge and strategic patches: the cases are data in *.cases.json.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '../errors.ts'
import { deploymentKind, sampleTypes } from '../sample.fixture.ts'
import { objectShape, shapeOf } from '../walk/shape.ts'
import jsonCases from './json.cases.json' with { type: 'json' }
import { applyJsonPatch } from './json.ts'
import mergeCases from './merge.cases.json' with { type: 'json' }
import { applyMergePatch, createMergePatch } from './merge.ts'
import strategicCases from './strategic.cases.json' with { type: 'json' }
import { applyStrategicPatch } from './strategic.ts'

interface Case {
  name: string
  at?: string
  object: object
  patch: unknown
  result?: object
  code?: number
  text?: string
}

const shapes = {
  object: objectShape(deploymentKind),
  podSpec: shapeOf({ ref: 'core.v1.PodSpec' }, sampleTypes),
  deployment: shapeOf({ ref: 'apps.v1.DeploymentSpec' }, sampleTypes),
}

const families: [string, Case[], (one: Case) => unknown][] = [
  ['JSON patch', jsonCases as Case[], (one) => applyJsonPatch(one.object, one.patch)],
  ['merge patch', mergeCases as Case[], (one) => applyMergePatch(one.object, one.patch)],
  [
    'strategic patch',
    strategicCases as Case[],
    (one) => applyStrategicPatch(one.object, one.patch, shapes[(one.at ?? 'object') as 'object']),
  ],
]

for (const [family, cases, run] of families)
  for (const one of cases)
    test(`${family}: ${one.name}`, () => {
      const before = [JSON.stringify(one.object), JSON.stringify(one.patch)]
      if (one.result) {
        const result = run(one)
        assert.deepEqual(result, one.result)
        assert.equal(JSON.stringify(result).length, JSON.stringify(one.result).length)
      } else
        assert.throws(
          () => run(one),
          (error) => error instanceof ApiError && error.code === one.code && error.message.includes(one.text!),
        )
      assert.deepEqual(
        [JSON.stringify(one.object), JSON.stringify(one.patch)],
        before,
        'nothing that came in is changed',
      )
    })

const hostile = JSON.parse('{"spec":{"__proto__":{"polluted":true}}}')
test('__proto__ is refused in every patch', () => {
  assert.throws(() => applyMergePatch({}, hostile), /__proto__/)
  assert.throws(() => applyStrategicPatch({}, hostile, shapes.object), /__proto__/)
  assert.throws(() => applyJsonPatch({}, [{ op: 'add', path: '/a', value: hostile }]), /__proto__/)
  assert.equal(({} as any).polluted, undefined)
})

test('deep and huge patches are refused, not overflowed', () => {
  const deep = JSON.parse(`${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`)
  for (const run of [() => applyMergePatch({}, deep), () => applyStrategicPatch({}, deep, shapes.object)])
    assert.throws(run, { reason: 'BadRequest' })
  const many = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/a' }))
  assert.throws(() => applyJsonPatch({}, many), { code: 413 })
  const doubling = [
    { op: 'add', path: '/a', value: ['x'.repeat(1000)] },
    ...Array.from({ length: 30 }, () => ({ op: 'copy', from: '/a', path: '/a/-' })),
  ]
  assert.throws(() => applyJsonPatch({}, doubling), { code: 422 })
})

test('a merge patch can be made from two objects', () => {
  const [before, after] = [
    { a: 1, b: { c: 1, d: 2 }, l: [1] },
    { b: { c: 1, e: 3 }, l: [2] },
  ]
  const patch = createMergePatch(before, after)
  assert.deepEqual(patch, { a: null, b: { d: null, e: 3 }, l: [2] })
  assert.deepEqual(applyMergePatch(before, patch), after)
  assert.equal(createMergePatch(before, structuredClone(before)), undefined)
})
