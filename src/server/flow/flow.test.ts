// Priority and fairness: classification, seats, queues, borrowing, and what a client sees of it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiObject } from '../../api/meta.ts'
import { startServer, userNamed } from '../server.fixture.ts'
import { inOrder } from './classify.ts'
import { createLevels, handOf } from './levels.ts'

const level = (name: string, shares: number, response: object, more: object = {}): ApiObject => ({
  apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
  kind: 'PriorityLevelConfiguration',
  metadata: { name },
  spec: {
    type: 'Limited',
    limited: { nominalConcurrencyShares: shares, lendablePercent: 0, limitResponse: response, ...more },
  },
})
const queue = (queues: number, handSize: number, queueLengthLimit: number) => ({
  type: 'Queue',
  queuing: { queues, handSize, queueLengthLimit },
})

test('a request takes the matching schema with the lowest precedence', () => {
  const schema = (name: string, matchingPrecedence: number, rule: object) => ({
    apiVersion: '',
    kind: 'FlowSchema',
    metadata: { name },
    spec: { matchingPrecedence, rules: [rule] },
  })
  const everybody = [{ kind: 'Group', group: { name: 'system:authenticated' } }]
  const pods = { verbs: ['*'], apiGroups: [''], resources: ['pods', 'pods/log'], namespaces: ['a'] }
  const sorted = inOrder([
    schema('all', 500, { subjects: everybody, resourceRules: [{ ...pods, resources: ['*'], namespaces: ['*'] }] }),
    schema('pods', 100, { subjects: everybody, resourceRules: [pods] }),
    schema('paths', 900, { subjects: everybody, nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/api/*'] }] }),
  ])
  const asked = (more: object) => ({
    ...{ verb: 'get', isResource: true, path: '', group: '', version: 'v1', resource: 'pods', subresource: '' },
    ...{ namespace: 'a', name: '' },
    ...more,
  })
  const choose = (more: object) => sorted.find((one) => one.matches(userNamed('eve'), asked(more)))?.name
  assert.equal(choose({}), 'pods')
  assert.equal(choose({ subresource: 'log' }), 'pods')
  assert.equal(choose({ subresource: 'exec' }), 'all')
  assert.equal(choose({ namespace: 'b' }), 'all')
  assert.equal(choose({ namespace: '' }), undefined)
  assert.equal(choose({ isResource: false, path: '/api/v1' }), 'paths')
})

test('a level without queues refuses what finds no seat', () => {
  const levels = createLevels()
  levels.configure([level('small', 1, { type: 'Reject' }), level('large', 599, { type: 'Reject' })])
  const small = levels.get('small')!
  assert.equal(small.nominal, 1)
  assert.equal(levels.enter(small, 'a', 1000), true)
  assert.equal(levels.enter(small, 'a', 1000), 'concurrency-limit')
  levels.leave(small)
  assert.equal(levels.enter(small, 'a', 1000), true)
})

test('queues are bounded, take turns, and what waits too long is refused', async () => {
  const levels = createLevels()
  levels.configure([level('small', 1, queue(2, 1, 2)), level('large', 599, { type: 'Reject' })])
  const small = levels.get('small')!
  const flows = ['a', 'b', 'c', 'd', 'e'].map((flow) => ({ flow, hand: handOf(flow, 2, 1)[0] }))
  const [loud, quiet] = [flows[0]!, flows.find(({ hand }) => hand !== flows[0]!.hand)!]
  assert.equal(levels.enter(small, loud.flow, 5), true)
  const served: string[] = []
  const enter = (flow: string, name: string) =>
    Promise.resolve(levels.enter(small, flow, 10_000)).then((result) => {
      served.push(`${name} ${result}`)
    })
  const waiting = [enter(loud.flow, 'loud-1'), enter(loud.flow, 'loud-2'), enter(loud.flow, 'loud-3')]
  waiting.push(enter(quiet.flow, 'quiet'))
  for (let turn = 0; turn < 3; turn++) {
    levels.leave(small)
    await Promise.resolve()
  }
  await Promise.all(waiting)
  assert.equal(served[0], 'loud-3 queue-full')
  // The one that came last waits for one of the loud flow, not for all of them.
  assert.ok(served.indexOf('quiet true') < served.indexOf('loud-2 true'), String(served))
  assert.equal(await levels.enter(small, quiet.flow, 1), 'time-out')
  assert.equal(small.waiting, 0)
})

test('seats that a level does not need are lent', () => {
  const levels = createLevels()
  const lender = level('lender', 599, { type: 'Reject' }, { lendablePercent: 1 })
  levels.configure([level('small', 1, { type: 'Reject' }), lender])
  const small = levels.get('small')!
  assert.equal(levels.get('lender')!.lendable, 6)
  const entered = Array.from({ length: 9 }, () => levels.enter(small, 'a', 0))
  assert.equal(entered.filter((result) => result === true).length, 7)
})

test('answers name the schema and the level; changes hold at once', async () => {
  const { ok, call } = await startServer()
  const base = '/apis/flowcontrol.apiserver.k8s.io/v1'
  const made = await ok('POST', `${base}/prioritylevelconfigurations`, level('mine', 1, queue(4, 2, 10)))
  const schema = await ok('POST', `${base}/flowschemas`, {
    apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
    kind: 'FlowSchema',
    metadata: { name: 'mine' },
    spec: {
      matchingPrecedence: 1000,
      priorityLevelConfiguration: { name: 'mine' },
      distinguisherMethod: { type: 'ByUser' },
      rules: [
        {
          subjects: [{ kind: 'User', user: { name: 'noxu' } }],
          nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
        },
      ],
    },
  })
  const seen = async (name: string) => (await call('GET', '/version', undefined, { user: userNamed(name) })).headers!
  const mine = await seen('noxu')
  assert.equal(mine['x-kubernetes-pf-flowschema-uid'], schema.metadata.uid)
  assert.equal(mine['x-kubernetes-pf-prioritylevel-uid'], made.metadata.uid)
  const other = await seen('foo')
  assert.ok(other['x-kubernetes-pf-flowschema-uid'])
  assert.notEqual(other['x-kubernetes-pf-flowschema-uid'], schema.metadata.uid)
  await ok('DELETE', `${base}/flowschemas/mine`)
  assert.notEqual((await seen('noxu'))['x-kubernetes-pf-flowschema-uid'], schema.metadata.uid)
})

test('the mandatory objects keep their specs', async () => {
  const { ok, refused } = await startServer()
  const base = '/apis/flowcontrol.apiserver.k8s.io/v1'
  const exempt = await ok('GET', `${base}/flowschemas/exempt`)
  exempt.spec.matchingPrecedence = 5
  assert.match(await refused(422, 'PUT', `${base}/flowschemas/exempt`, exempt), /must equal the fixed value/)
})
