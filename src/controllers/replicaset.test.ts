import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { claimOf, controllerReference } from './ownership.ts'
import { inGrowingBatches, isNamespaceTerminating } from './pod-control.ts'
import { nextAvailability, planReplicas, replicaSetStatus } from './replicaset.ts'
import { at, object, ready } from './sample.fixture.ts'

const set = (replicas: number, spec: Record<string, unknown> = {}): StoredObject =>
  object('ReplicaSet', 'web', {
    spec: { replicas, template: { metadata: { labels: { app: 'web', v: '1' } } }, ...spec },
  })

const pod = (name: string, fields: { metadata?: any; spec?: any; status?: any } = {}): StoredObject =>
  object('Pod', name, {
    spec: { nodeName: 'n1' },
    status: { phase: 'Running', conditions: [ready()] },
    ...fields,
    metadata: { labels: { app: 'web', v: '1' }, ...fields.metadata },
  })

test('as many Pods as are missing are made, at most 500 at once', () => {
  assert.deepEqual(planReplicas(set(3), [pod('a')]), { create: 2, delete: [] })
  assert.equal(planReplicas(set(2000), []).create, 500)
  assert.deepEqual(planReplicas(set(1), [pod('a')]), { create: 0, delete: [] })
})

test('surplus Pods go in the order of their worth', () => {
  const crashing = { phase: 'Running', conditions: [ready()], containerStatuses: [{ restartCount: 4 }] }
  const pods = [
    pod('old'),
    pod('young', { metadata: { creationTimestamp: '2026-01-01T01:00:00Z' } }),
    pod('crashing', { status: crashing }),
    pod('fresh', { status: { phase: 'Running', conditions: [ready(true, 60)] } }),
    pod('cheap', { metadata: { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '-5' } } }),
    pod('unready', { status: { phase: 'Running', conditions: [ready(false)] } }),
    pod('pending', { status: { phase: 'Pending' } }),
    pod('unassigned', { spec: {}, status: { phase: 'Pending' } }),
  ]
  assert.deepEqual(
    planReplicas(set(0), pods).delete.map((each) => each.metadata.name),
    ['unassigned', 'pending', 'unready', 'cheap', 'fresh', 'crashing', 'young', 'old'],
  )
})

test('the status counts labels, readiness and availability', () => {
  const pods = [
    pod('a'),
    pod('b', { metadata: { labels: { app: 'web' } } }),
    pod('c', { status: { phase: 'Running', conditions: [ready(true, 95)] } }),
    pod('d', { status: { phase: 'Pending' } }),
  ]
  const owner = set(4, { minReadySeconds: 10 })
  const status = replicaSetStatus(owner, pods, undefined, at(100))
  const { replicas, fullyLabeledReplicas, readyReplicas, availableReplicas } = status
  assert.deepEqual([replicas, fullyLabeledReplicas, readyReplicas, availableReplicas], [4, 3, 3, 2])
  assert.equal(nextAvailability(pods, 10, at(100)), 5000)
  assert.equal(nextAvailability(pods, 10, at(200)), undefined)
})

test('a failure is a condition until it is over', () => {
  const failure = { reason: 'FailedCreate', message: 'quota' }
  const status: any = replicaSetStatus(set(1), [], failure, at(0))
  assert.deepEqual([status.conditions[0].type, status.conditions[0].reason], ['ReplicaFailure', 'FailedCreate'])
  const again = { ...set(1), status }
  const other = { reason: 'FailedCreate', message: 'quota, told of another Pod' }
  assert.deepEqual(replicaSetStatus(again, [], other, at(1)).conditions, status.conditions)
  assert.deepEqual((replicaSetStatus(again, [], undefined, at(1)) as any).conditions, [])
})

test('who may claim what', () => {
  const owner = set(1)
  const other = set(1)
  const leaving = { ...owner, metadata: { ...owner.metadata, deletionTimestamp: 'x' } } as StoredObject
  const owned = (by: StoredObject) => pod('p', { metadata: { ownerReferences: [controllerReference(by)] } })
  const table: [StoredObject, StoredObject, boolean, string][] = [
    [owner, owned(owner), true, 'keep'],
    [owner, owned(owner), false, 'release'],
    [leaving, owned(owner), false, 'ignore'],
    [owner, owned(other), true, 'ignore'],
    [owner, pod('p'), true, 'adopt'],
    [owner, pod('p'), false, 'ignore'],
    [leaving, pod('p'), true, 'ignore'],
    [owner, pod('p', { metadata: { deletionTimestamp: 'x' } }), true, 'ignore'],
  ]
  for (const [by, what, matches, expected] of table) assert.equal(claimOf(by, what, matches), expected)
})

test('batches double, and end with the first failure', async () => {
  const done: number[] = []
  await inGrowingBatches(6, async (index) => done.push(index))
  assert.deepEqual(done, [0, 1, 2, 3, 4, 5])
  let tries = 0
  await assert.rejects(
    inGrowingBatches(100, async () => {
      if (++tries > 1) throw new Error('full')
    }),
    /full/,
  )
  assert.equal(tries, 3)
  assert.equal(isNamespaceTerminating(new Error('x')), false)
})
