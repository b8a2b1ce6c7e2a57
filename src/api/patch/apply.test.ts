// Server-side apply and ownership: scenarios of several managers are data in apply.cases.json.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '../errors.ts'
import type { ApiObject } from '../meta.ts'
import { deploymentKind, sampleDeployment } from '../sample.fixture.ts'
import { objectShape, shapeOf } from '../walk/shape.ts'
import cases from './apply.cases.json' with { type: 'json' }
import { applyConfiguration } from './apply.ts'
import { FieldSet, stepsText } from './field-set.ts'
import { lastAppliedAnnotation } from './last-applied.ts'
import { managedFieldsAfterUpdate, sameExceptOwnershipTimes } from './managed-fields.ts'
import { settleAtomics } from './typed.ts'

interface Step {
  apply?: string
  update?: string
  force?: boolean
  subresource?: string
  spec: object
  status?: object
  result?: object
  owners?: Record<string, string[]>
  conflict?: string
  refused?: string
}

const shape = objectShape(deploymentKind)
const kind = { group: 'apps', version: 'v1', kind: 'Deployment' }
const start = Date.UTC(2026, 0, 1)
const minute = 60_000

const object = (spec: object, status?: object): ApiObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'default' },
  spec,
  ...(status && { status }),
})

const apply = (live: ApiObject | undefined, config: unknown, manager: string, now = start, force = false) =>
  applyConfiguration({ live, config, manager, force, now, shape, ...kind, ignore: [['status']] })

function update(
  live: ApiObject | undefined,
  next: ApiObject,
  manager: string,
  now = start,
  subresource = '',
): ApiObject {
  const ignore = subresource === 'status' ? [['spec'], ['metadata']] : [['status']]
  const managedFields = managedFieldsAfterUpdate(live, next, {
    shape,
    apiVersion: 'apps/v1',
    manager,
    now,
    subresource,
    ignore,
  })
  return { ...next, metadata: { ...next.metadata, managedFields } }
}

function ownersOf(live: ApiObject): Record<string, string[]> {
  const found: Record<string, string[]> = {}
  for (const entry of live.metadata.managedFields ?? []) {
    const name = `${entry.manager} ${entry.operation}${entry.subresource ? ` ${entry.subresource}` : ''}`
    found[name] = [...FieldSet.fromFieldsV1(entry.fieldsV1).paths()].map(stepsText).sort()
  }
  return found
}

function run(live: ApiObject | undefined, step: Step, now: number): ApiObject {
  if (step.update) return update(live, object(step.spec, step.status), step.update, now, step.subresource)
  return apply(live, object(step.spec, step.status), step.apply!, now, step.force).object
}

for (const scenario of cases as { name: string; steps: Step[] }[])
  test(`apply: ${scenario.name}`, () => {
    let live: ApiObject | undefined
    let now = start
    for (const step of scenario.steps) {
      now += minute
      const before = JSON.stringify(live)
      const refusal = step.conflict ?? step.refused
      if (refusal) {
        const code = step.conflict ? 409 : 400
        assert.throws(
          () => run(live, step, now),
          (error) => error instanceof ApiError && error.code === code && error.message.includes(refusal),
        )
      } else {
        const next = run(live, step, now)
        if (step.result) assert.deepEqual(next.spec, step.result)
        if (step.owners) assert.deepEqual(ownersOf(next), step.owners)
        assert.equal(JSON.stringify(live), before, 'the stored object is not changed')
        live = next
      }
    }
  })

test('a conflict names its causes', () => {
  const live = update(undefined, sampleDeployment(), 'kubectl-client-side-apply')
  const config = { ...object({ replicas: 9 }) }
  assert.throws(
    () => apply(live, config, 'helm'),
    (error) => {
      assert.ok(error instanceof ApiError)
      assert.equal(error.reason, 'Conflict')
      assert.equal(
        error.message,
        'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas',
      )
      assert.deepEqual(error.details?.causes, [
        {
          reason: 'FieldManagerConflict',
          message: 'conflict with "kubectl-client-side-apply" using apps/v1',
          field: '.spec.replicas',
        },
      ])
      return true
    },
  )
})

test('applying the same again changes nothing, not even the time', () => {
  const first = apply(undefined, sampleDeployment(), 'a', start).object
  const again = apply(first, sampleDeployment(), 'a', start + minute)
  assert.equal(again.changed, false)
  assert.deepEqual(again.object, first)
  const other = apply(
    again.object,
    { ...sampleDeployment(), spec: { ...sampleDeployment().spec, replicas: 7 } },
    'a',
    start + minute,
  )
  assert.equal(other.changed, true)
  assert.equal(other.object.metadata.managedFields![0]!.time, '2026-01-01T00:01:00Z')
})

test('managedFields look as upstream writes them', () => {
  const live = apply(
    undefined,
    object({ replicas: 1, template: { metadata: { labels: { app: 'web' } } } }),
    'kubectl',
  ).object
  assert.deepEqual(live.metadata.managedFields, [
    {
      manager: 'kubectl',
      operation: 'Apply',
      apiVersion: 'apps/v1',
      time: '2026-01-01T00:00:00Z',
      fieldsType: 'FieldsV1',
      fieldsV1: { 'f:spec': { 'f:replicas': {}, 'f:template': { 'f:metadata': { 'f:labels': { 'f:app': {} } } } } },
    },
  ])
})

test('an object whose ownership was never tracked belongs to before-first-apply', () => {
  const live = { ...object({ replicas: 1 }), metadata: { name: 'web', namespace: 'default', uid: '1' } }
  assert.throws(
    () => apply(live, object({ replicas: 2 }), 'a'),
    /conflict with "before-first-apply" using apps\/v1: .spec.replicas/,
  )
  const next = apply(live, object({ minReadySeconds: 2 }), 'a').object
  assert.deepEqual(ownersOf(next), {
    'a Apply': ['.spec.minReadySeconds'],
    'before-first-apply Update': ['.spec.replicas'],
  })
})

test('kubectl takes over what it applied on the client side', () => {
  const config = object({ replicas: 1, minReadySeconds: 3 })
  const annotated = {
    ...config,
    metadata: { ...config.metadata, annotations: { [lastAppliedAnnotation]: JSON.stringify(config) } },
  }
  const live = update(undefined, annotated, 'kubectl-client-side-apply')
  const next = apply(live, object({ replicas: 2, minReadySeconds: 3 }), 'kubectl').object
  assert.equal(next.spec.replicas, 2)
  assert.equal(JSON.parse(next.metadata.annotations![lastAppliedAnnotation]!).spec.replicas, 2)
  assert.throws(() => apply(live, object({ replicas: 2 }), 'other'), /conflict with "kubectl-client-side-apply"/)
})

test('managedFields of a request: an empty list resets, malformed ones are ignored, a subresource cannot set them', () => {
  const live = update(undefined, object({ replicas: 1 }), 'u')
  const next = (managedFields: any, spec = { replicas: 2 }) => ({
    ...object(spec),
    metadata: { ...live.metadata, managedFields },
  })
  assert.equal(update(live, next([]), 'w').metadata.managedFields?.length, undefined)
  assert.deepEqual(Object.keys(ownersOf(update(live, next([{ operation: 'Frob' }]), 'w'))), ['w Update'])
  assert.deepEqual(Object.keys(ownersOf(update(live, next([], { replicas: 1 }), 'w', start, 'scale'))), ['u Update'])
})

test('more than ten updaters are merged into ancient-changes', () => {
  let live: ApiObject | undefined
  for (let index = 0; index < 14; index++)
    live = update(
      live,
      {
        ...object({ replicas: 1 }),
        metadata: { ...(live?.metadata ?? { name: 'web' }), labels: { ...live?.metadata.labels, [`l${index}`]: 'x' } },
      },
      `m${index}`,
      start + index * minute,
    )
  const owners = ownersOf(live!)
  assert.equal(Object.keys(owners).length, 10)
  assert.ok(owners['ancient-changes Update']!.includes('.metadata.labels.l0'))
  assert.ok(owners['ancient-changes Update']!.includes('.metadata.labels.l4'))
})

test('the wrong kind and managedFields in a configuration are refused', () => {
  assert.throws(() => apply(undefined, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' } }, 'a'), {
    message: 'invalid object type: /v1, Kind=Pod',
  })
  const config = object({})
  assert.throws(() => apply(undefined, { ...config, metadata: { ...config.metadata, managedFields: [] } }, 'a'), {
    message: 'metadata.managedFields must be nil',
  })
  assert.throws(
    () =>
      apply(
        undefined,
        JSON.parse('{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"labels":{"__proto__":"x"}}}'),
        'a',
      ),
    /__proto__/,
  )
})

test('field sets: FieldsV1 there and back, algebra', () => {
  const fields = { 'f:a': { '.': {}, 'f:b': {} }, 'k:{"b":1,"a":"x"}': {}, 'v:"s"': {}, 'i:3': {}, 'x:new': {} }
  const set = FieldSet.fromFieldsV1(fields)
  assert.deepEqual(Object.keys(set.toFieldsV1()), ['f:a', 'k:{"a":"x","b":1}', 'v:"s"', 'i:3'])
  const [ab, a] = [FieldSet.of(['f:a', 'f:b']), FieldSet.of(['f:a'])]
  assert.deepEqual(ab.difference(a).toFieldsV1(), { 'f:a': { 'f:b': {} } })
  assert.deepEqual(ab.recursiveDifference(a).toFieldsV1(), {})
  assert.deepEqual(ab.union(a).toFieldsV1(), { 'f:a': { '.': {}, 'f:b': {} } })
  assert.equal(ab.intersection(a).empty, true)
  assert.throws(() => FieldSet.fromFieldsV1({ nocolon: {} }))
  assert.throws(() => FieldSet.fromFieldsV1({ 'k:{': {} }))
})

test('ownership inside of what became atomic is ownership of the whole', () => {
  const atomic = shapeOf({
    type: 'object',
    properties: { m: { type: 'object', mapType: 'atomic', additionalProperties: { type: 'string' } } },
  })
  assert.deepEqual(settleAtomics(FieldSet.of(['f:m', 'f:x']), atomic).toFieldsV1(), { 'f:m': {} })
})

test('only timestamps differ', () => {
  const live = update(undefined, object({ replicas: 1 }), 'u', start)
  const later = update(undefined, object({ replicas: 1 }), 'u', start + minute)
  assert.equal(sameExceptOwnershipTimes(live, later), true)
  assert.equal(sameExceptOwnershipTimes(live, update(undefined, object({ replicas: 1 }), 'w', start)), false)
})
