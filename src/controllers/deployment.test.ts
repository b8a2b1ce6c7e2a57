import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { newReplicaSet } from './deployment.ts'
import {
  currentReplicas,
  expiredSets,
  fenceposts,
  nextRevision,
  revisionAnnotation,
  sameTemplate,
  scaleDownOld,
  setAnnotations,
  shareReplicas,
  sizeAnnotations,
} from './deployment-plan.ts'
import { deadlineWait, pauseCondition, rolloutStatus } from './deployment-status.ts'
import { at, object, stamp } from './sample.fixture.ts'
import { templateHash } from './template-hash.ts'

const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'i:1' }] } }

const web = (replicas: number, spec: Record<string, unknown> = {}, status?: unknown): StoredObject =>
  object('Deployment', 'web', {
    metadata: { generation: 1 },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template,
      progressDeadlineSeconds: 600,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
      ...spec,
    },
    status,
  })

const set = (name: string, replicas: number, available = replicas, fields: Record<string, any> = {}): StoredObject =>
  object('ReplicaSet', name, {
    spec: { replicas, template },
    status: { replicas, availableReplicas: available, readyReplicas: available },
    ...fields,
  })

const rolling = (maxSurge: unknown, maxUnavailable: unknown) => ({
  strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } },
})

test('surge is rounded up, unavailability down, and never both zero', () => {
  const table: [number, unknown, unknown, number, number][] = [
    [2, '25%', '25%', 1, 0],
    [10, '25%', '25%', 3, 2],
    [4, 0, 0, 0, 1],
    [4, 0, '10%', 0, 1],
    [1, 3, 1, 3, 1],
  ]
  for (const [replicas, maxSurge, maxUnavailable, surge, unavailable] of table)
    assert.deepEqual(fenceposts(web(replicas, rolling(maxSurge, maxUnavailable))), { surge, unavailable })
})

test('the current ReplicaSet grows as far as the surge allows', () => {
  const grow = (old: number, now: number) => currentReplicas(web(10), [set('old', old), set('new', now)], now)
  assert.deepEqual([grow(10, 0), grow(10, 3), grow(6, 3), grow(0, 3)], [3, 3, 7, 10])
  assert.equal(currentReplicas(web(10, { strategy: { type: 'Recreate' } }), [set('old', 10)], 0), 10)
})

test('old ReplicaSets shrink as far as availability allows, broken Pods first', () => {
  const shrink = (current: StoredObject, ...old: StoredObject[]) =>
    scaleDownOld(web(10), current, old).map((scale) => [scale.set.metadata.name, scale.replicas])
  assert.deepEqual(shrink(set('new', 3, 0), set('old', 10)), [['old', 8]])
  assert.deepEqual(shrink(set('new', 5, 0), set('old', 8)), [])
  assert.deepEqual(shrink(set('new', 5, 5), set('old', 8)), [['old', 3]])
  assert.deepEqual(shrink(set('new', 3, 0), set('old', 10, 4)), [['old', 8]])
  assert.deepEqual(shrink(set('new', 10, 10), set('a', 1), set('b', 0)), [['a', 0]])
})

test('a new size in the middle of a rollout is shared out in proportion', () => {
  const sized = (name: string, replicas: number, of: number) =>
    set(name, replicas, replicas, { metadata: { annotations: sizeAnnotations(web(of, rolling(0, 1))) } })
  const scales = shareReplicas(web(20, rolling(0, 1)), sized('new', 4, 10), [sized('old', 6, 10)])
  assert.deepEqual(
    scales.map((scale) => [scale.set.metadata.name, scale.replicas]),
    [
      ['old', 12],
      ['new', 8],
    ],
  )
  const single = shareReplicas(web(5), sized('new', 3, 3), [sized('old', 0, 3)])
  assert.deepEqual(
    single.map((scale) => scale.replicas),
    [5],
  )
})

test('revisions and annotations of a ReplicaSet', () => {
  const deployment = web(2)
  deployment.metadata.annotations = { note: 'x', 'deployment.kubernetes.io/revision': '9' }
  const fresh = setAnnotations(deployment, undefined, 3n)
  assert.deepEqual(fresh, {
    note: 'x',
    'deployment.kubernetes.io/revision': '3',
    'deployment.kubernetes.io/desired-replicas': '2',
    'deployment.kubernetes.io/max-replicas': '3',
  })
  const high = object('ReplicaSet', 'high', {
    metadata: { annotations: { [revisionAnnotation]: '3546343826724305832' } },
  })
  assert.equal(nextRevision([high]), 3546343826724305833n)
  const again = setAnnotations(deployment, fresh, 5n)
  assert.equal(again['deployment.kubernetes.io/revision'], '5')
  assert.equal(again['deployment.kubernetes.io/revision-history'], '3')
})

test('the history limit spares what still has Pods', () => {
  const revision = (name: string, number: number, replicas = 0) =>
    set(name, replicas, replicas, {
      metadata: { annotations: { 'deployment.kubernetes.io/revision': String(number) } },
    })
  const old = [revision('c', 3), revision('a', 1), revision('b', 2, 1)]
  const names = (limit: number) =>
    expiredSets(web(1, { revisionHistoryLimit: limit }), old).map((each) => each.metadata.name)
  assert.deepEqual([names(10), names(2), names(0)], [[], ['a'], ['a', 'c']])
})

test('the hash is of what the template says, in whatever order', () => {
  const turned = { spec: { containers: [{ image: 'i:1', name: 'c' }] }, metadata: { labels: { app: 'web' } } }
  assert.equal(templateHash(template), templateHash(turned))
  assert.equal(templateHash(template), 'f678b5496')
  assert.notEqual(templateHash(template), templateHash(template, 1))
})

test('a new ReplicaSet carries the hash everywhere and belongs to the Deployment', () => {
  const deployment = web(2)
  const made = newReplicaSet(deployment, [set('old', 2)])
  const hash = made.metadata.labels!['pod-template-hash']!
  assert.equal(made.metadata.name, `web-${hash}`)
  assert.deepEqual(made.spec.selector.matchLabels, { app: 'web', 'pod-template-hash': hash })
  assert.equal(made.spec.template.metadata.labels['pod-template-hash'], hash)
  assert.equal(made.spec.replicas, 1)
  assert.equal(made.metadata.ownerReferences![0]!.uid, deployment.metadata.uid)
  assert.ok(sameTemplate(made as StoredObject, deployment))
})

const condition = (status: any, type: string) => status.conditions.find((each: any) => each.type === type)

test('conditions of a rollout: progressing, complete, stuck', () => {
  const current = set('web-x', 2, 0)
  const begun = rolloutStatus(web(2), { current, old: [] }, at(0))
  assert.equal(condition(begun, 'Available').reason, 'MinimumReplicasUnavailable')
  assert.equal(condition(begun, 'Progressing').reason, 'ReplicaSetUpdated')
  assert.equal(condition(begun, 'Progressing').message, 'ReplicaSet "web-x" is progressing.')

  const done = rolloutStatus(web(2, {}, begun), { current: set('web-x', 2), old: [] }, at(5))
  assert.equal(condition(done, 'Available').reason, 'MinimumReplicasAvailable')
  assert.equal(condition(done, 'Progressing').reason, 'NewReplicaSetAvailable')
  assert.equal(condition(done, 'Progressing').message, 'ReplicaSet "web-x" has successfully progressed.')
  assert.equal(condition(done, 'Progressing').lastTransitionTime, stamp(0))

  assert.equal(deadlineWait(web(2, {}, begun), begun, at(0)), 601_000)
  const stuck = rolloutStatus(web(2, {}, begun), { current, old: [] }, at(601))
  assert.equal(condition(stuck, 'Progressing').reason, 'ProgressDeadlineExceeded')
  assert.equal(condition(stuck, 'Progressing').status, 'False')
})

test('a failing ReplicaSet shows in its Deployment', () => {
  const failure = { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'quota' }
  const current = object('ReplicaSet', 'web-x', { spec: { replicas: 2 }, status: { conditions: [failure] } })
  assert.equal(condition(rolloutStatus(web(2), { current, old: [] }, at(0)), 'ReplicaFailure').message, 'quota')
})

test('pausing and resuming are said once each', () => {
  const progressing = (reason: string) => ({ conditions: [{ type: 'Progressing', status: 'True', reason }] })
  assert.equal(pauseCondition(web(1, { paused: true }, progressing('x')))?.reason, 'DeploymentPaused')
  assert.equal(pauseCondition(web(1, { paused: true }, progressing('DeploymentPaused'))), undefined)
  assert.equal(pauseCondition(web(1, {}, progressing('DeploymentPaused')))?.reason, 'DeploymentResumed')
  assert.equal(pauseCondition(web(1, {}, progressing('DeploymentResumed'))), undefined)
})
