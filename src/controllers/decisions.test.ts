// The smaller decisions, each as a table: collection, namespaces, nodes, abandoned Pods, equality.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KindDefinition } from '../api/kind.ts'
import type { StoredObject } from '../api/meta.ts'
import { withCondition } from './conditions.ts'
import { semanticallyEqual } from './equality.ts'
import { collectedKinds } from './garbage-collector.ts'
import { kubernetesObjects } from './kubernetes-service.ts'
import { contentKinds, deletionConditions } from './namespace.ts'
import { taintsOf, unknownConditions } from './node-lifecycle.ts'
import { blockingDependents, type OwnerState, verdict } from './ownership-graph.ts'
import { abandonedPods } from './pod-collector.ts'
import { at, object, stamp } from './sample.fixture.ts'

const reference = (uid: string, blockOwnerDeletion = false) => ({
  apiVersion: 'v1',
  kind: 'X',
  name: uid,
  uid,
  blockOwnerDeletion,
})

test('what becomes of an object with these owners', () => {
  const owners = (...states: OwnerState[]) => states.map((state) => ({ reference: reference(state), state }))
  const plain = object('X', 'a')
  const orphaning = object('X', 'b', { metadata: { finalizers: ['orphan'] } })
  const dependent = [object('X', 'c')]
  const of = (states: OwnerState[], what = plain, dependents: StoredObject[] = []) => {
    const found = verdict(what, owners(...states), dependents)
    return found.kind === 'delete' ? found.propagation : found.kind
  }
  assert.equal(of([]), 'keep')
  assert.equal(of(['solid']), 'keep')
  assert.equal(of(['absent']), 'Background')
  assert.equal(of(['absent'], orphaning), 'Orphan')
  assert.equal(of(['solid', 'absent']), 'unreference')
  assert.equal(of(['waiting']), 'Background')
  assert.equal(of(['waiting'], plain, dependent), 'Foreground')
  assert.equal(of(['waiting', 'solid'], plain, dependent), 'unreference')
})

test('an owner waits only for those that say so', () => {
  const owner = object('X', 'o', { metadata: { uid: 'o' } })
  const waits = object('X', 'a', { metadata: { ownerReferences: [reference('o', true)] } })
  const loose = object('X', 'b', { metadata: { ownerReferences: [reference('o')] } })
  assert.deepEqual(blockingDependents(owner, [waits, loose]), [waits])
})

const kind = (group: string, plural: string, extra: Partial<KindDefinition> = {}) =>
  ({ group, version: 'v1', plural, kind: plural, scope: 'Namespaced', ...extra }) as KindDefinition

test('which kinds are collected and emptied', () => {
  const kinds = [
    kind('', 'pods'),
    kind('', 'events'),
    kind('apps', 'deployments'),
    kind('apps', 'deployments', { version: 'v2' }),
    kind('', 'nodes', { scope: 'Cluster' }),
    kind('', 'bindings', { verbs: ['create'] }),
    kind('authorization.k8s.io', 'reviews', { virtual: true }),
  ]
  const names = (found: KindDefinition[]) => found.map(({ plural }) => plural)
  assert.deepEqual(names(collectedKinds(kinds)), ['pods', 'deployments', 'nodes'])
  assert.deepEqual(names(contentKinds(kinds)), ['pods', 'events', 'deployments'])
})

test('a namespace says what holds it up', () => {
  const remaining = [{ resource: 'pods', count: 2, finalizers: new Map([['x/y', 2]]) }]
  const conditions = deletionConditions(undefined, remaining, [], stamp(0))
  const text = (type: string) => conditions.find((each) => each.type === type)
  assert.equal(
    text('NamespaceContentRemaining')?.message,
    'Some resources are remaining: pods has 2 resource instances',
  )
  assert.equal(
    text('NamespaceFinalizersRemaining')?.message,
    'Some content in the namespace has finalizers remaining: x/y in 2 resource instances',
  )
  assert.equal(text('NamespaceDeletionContentFailure')?.status, 'False')
})

test('a silent node becomes unknown and unreachable, a cordoned one unschedulable', () => {
  const node = (status: string, spec = {}) =>
    object('Node', 'n', { spec, status: { conditions: [{ type: 'Ready', status }] } })
  const silent = { ...node('True'), status: { conditions: unknownConditions(node('True'), at(0)) } } as StoredObject
  assert.equal(silent.status.conditions[0].reason, 'NodeStatusUnknown')
  assert.equal(silent.status.conditions[1].reason, 'NodeStatusNeverUpdated')
  assert.equal(unknownConditions(silent, at(9)), undefined)
  const keys = (of: StoredObject) => taintsOf(of, at(0)).map(({ key, effect }) => `${key}:${effect}`)
  assert.deepEqual(keys(node('True')), [])
  assert.deepEqual(keys(node('False')), ['node.kubernetes.io/not-ready:NoSchedule'])
  assert.deepEqual(keys(silent), ['node.kubernetes.io/unreachable:NoSchedule'])
  const mine = { key: 'mine', effect: 'NoSchedule' }
  assert.deepEqual(keys(node('True', { unschedulable: true, taints: [mine] })), [
    'mine:NoSchedule',
    'node.kubernetes.io/unschedulable:NoSchedule',
  ])
})

test('Pods that nobody will finish', () => {
  const pod = (name: string, nodeName?: string, deletionTimestamp?: string) =>
    object('Pod', name, { spec: { nodeName }, metadata: { deletionTimestamp } })
  const all = [pod('here', 'n1'), pod('lost', 'n2'), pod('never', undefined, 'x'), pod('waiting')]
  const names = (now: number) =>
    abandonedPods(all, new Set(['n1']), new Map([['n2', at(0)]]), at(now)).map((each) => each.metadata.name)
  assert.deepEqual(names(10), ['never'])
  assert.deepEqual(names(40), ['lost', 'never'])
})

test('absent, empty list and empty map are one; everything else counts', () => {
  const table: [unknown, unknown, boolean][] = [
    [{ a: [] }, {}, true],
    [{ a: {} }, { a: null }, true],
    [{ a: '' }, {}, false],
    [{ a: 0 }, {}, false],
    [{ a: [1, 2] }, { a: [2, 1] }, false],
    [{ a: { b: 1, c: undefined } }, { a: { b: 1 } }, true],
    [[], {}, true],
  ]
  for (const [a, b, expected] of table) {
    assert.equal(semanticallyEqual(a, b), expected)
    assert.equal(semanticallyEqual(b, a), expected)
  }
})

test('a condition keeps its place, and its time while its status stays', () => {
  const first = withCondition([], { type: 'A', status: 'True' }, 't0')
  const both = withCondition(first, { type: 'B', status: 'False' }, 't1')
  const again = withCondition(both, { type: 'A', status: 'True', reason: 'x' }, 't2')
  assert.deepEqual(
    again.map(({ type, lastTransitionTime }) => [type, lastTransitionTime]),
    [
      ['A', 't0'],
      ['B', 't1'],
    ],
  )
  assert.equal(withCondition(again, { type: 'A', status: 'False' }, 't3')[0]!.lastTransitionTime, 't3')
})

test('the API’s own Service leads to its one endpoint', () => {
  const made = kubernetesObjects({ clusterIP: '10.96.0.1', endpointIP: '10.96.0.1', port: 6443 })
  const [service, endpoints, slice] = made.map(({ object }) => object)
  assert.equal(service!.spec.ports[0].targetPort, 6443)
  assert.equal(endpoints!.subsets[0].addresses[0].ip, '10.96.0.1')
  assert.equal(slice!.metadata.labels!['kubernetes.io/service-name'], 'kubernetes')
})
