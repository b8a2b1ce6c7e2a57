// Pods that want to be together, apart, or spread; and who leaves for whom.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { object } from './sample.fixture.ts'
import { SchedulerBook } from './scheduler-book.ts'
import { choose, whyNot } from './scheduler-choice.ts'
import { bestVictims, victimsOn } from './scheduler-preemption.ts'
import type { Surroundings } from './scheduler-topology.ts'

const zones: Record<string, string> = { n1: 'a', n2: 'a', n3: 'b' }

function cluster(
  pods: Record<string, StoredObject[]>,
  allocatable = { cpu: '4', memory: '4Gi', pods: '10' },
): Surroundings {
  const book = new SchedulerBook()
  for (const [name, zone] of Object.entries(zones))
    book.setNode(object('Node', name, { metadata: { labels: { zone, host: name } }, status: { allocatable } }))
  for (const [name, list] of Object.entries(pods)) for (const pod of list) book.setPod(pod, name)
  const nodes = book.nodes()
  const namespaceLabels = (name: string) => ({ team: name === 'shop' ? 'sales' : 'other' })
  return { book, nodes, without: new Set(), nominated: [], namespaceLabels }
}

const pod = (app: string, spec: object = {}, metadata: object = {}): StoredObject =>
  object('Pod', app, { metadata: { labels: { app }, ...metadata }, spec: { containers: [{}], ...spec } })

const near = (app: string, topologyKey: string, more: object = {}) => ({
  labelSelector: { matchLabels: { app } },
  topologyKey,
  ...more,
})
const required = (kind: string, ...terms: object[]) => ({
  affinity: { [kind]: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
})
const fitting = (candidate: StoredObject, around: Surroundings): string[] =>
  around.nodes.filter((entry) => whyNot(candidate, entry, around).length === 0).map(({ name }) => name)

test('together: the same zone as the others; the first of its kind goes anywhere', () => {
  const around = cluster({ n1: [pod('db')] })
  assert.deepEqual(fitting(pod('web', required('podAffinity', near('db', 'zone'))), around), ['n1', 'n2'])
  assert.deepEqual(fitting(pod('web', required('podAffinity', near('db', 'host'))), around), ['n1'])
  assert.deepEqual(fitting(pod('web', required('podAffinity', near('cache', 'zone'))), around), [])
  assert.deepEqual(fitting(pod('cache', required('podAffinity', near('cache', 'zone'))), around), ['n1', 'n2', 'n3'])
})

test('namespaces of a term: its own, named ones, or those with labels', () => {
  const around = cluster({ n1: [pod('db', {}, { namespace: 'shop' })] })
  const terms = (more: object) => fitting(pod('web', required('podAffinity', near('db', 'host', more))), around)
  assert.deepEqual(terms({}), [])
  assert.deepEqual(terms({ namespaces: ['shop'] }), ['n1'])
  assert.deepEqual(terms({ namespaceSelector: { matchLabels: { team: 'sales' } } }), ['n1'])
})

test('apart: by its own wish, or because those that are there want it', () => {
  const away = required('podAntiAffinity', near('web', 'zone'))
  assert.deepEqual(fitting(pod('web', away), cluster({ n1: [pod('web')] })), ['n3'])
  const around = cluster({ n1: [pod('shy', required('podAntiAffinity', near('web', 'host')))] })
  assert.deepEqual(fitting(pod('web'), around), ['n2', 'n3'])
  assert.deepEqual(whyNot(pod('web'), around.nodes[0]!, around), [
    { reason: "node(s) didn't satisfy existing pods anti-affinity rules", helped: true },
  ])
})

test('spread: no value of the label gets too far ahead', () => {
  const spread = (more: object = {}) => ({
    topologySpreadConstraints: [{ maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule', ...near('web', 'zone'), ...more }],
  })
  const around = cluster({ n1: [pod('web')] })
  assert.deepEqual(fitting(pod('web', spread()), around), ['n3'])
  assert.deepEqual(fitting(pod('web', spread({ maxSkew: 2 })), around), ['n1', 'n2', 'n3'])
  assert.deepEqual(fitting(pod('web', spread({ topologyKey: 'rack' })), around), [])
  assert.deepEqual(fitting(pod('web', spread({ minDomains: 3 })), cluster({ n1: [pod('web')], n3: [pod('web')] })), [])
  const soft = pod('web', spread({ whenUnsatisfiable: 'ScheduleAnyway' }))
  assert.equal(choose(soft, around.nodes, around)?.name, 'n3')
})

const asking = (app: string, priority: number, cpu: string, more: object = {}) =>
  pod(app, { priority, containers: [{ resources: { requests: { cpu } } }] }, more)

test('the fewest and least important leave', () => {
  const around = cluster({ n1: [asking('low', 1, '2'), asking('middle', 5, '1'), asking('high', 100, '1')] })
  const [n1] = around.nodes
  const leaving = (candidate: StoredObject, budgets: StoredObject[] = []) =>
    victimsOn(candidate, n1!, around, budgets)?.pods.map(({ metadata }) => metadata.name)
  assert.deepEqual(leaving(asking('new', 50, '1')), ['low'])
  assert.deepEqual(leaving(asking('new', 50, '3')), ['middle', 'low'])
  assert.equal(leaving(asking('new', 50, '4')), undefined)
  assert.equal(leaving(asking('new', 1, '1')), undefined)
  const budget = object('PodDisruptionBudget', 'b', {
    spec: { selector: { matchLabels: { app: 'low' } } },
    status: { disruptionsAllowed: 0 },
  })
  assert.deepEqual(leaving(asking('new', 50, '1'), [budget]), ['middle'])
})

test('of several nodes the one where it hurts least', () => {
  const around = cluster({
    n1: [asking('a', 10, '4')],
    n2: [asking('b', 5, '4')],
    n3: [asking('c', 5, '2'), asking('d', 5, '2')],
  })
  const candidates = around.nodes.flatMap((entry) => victimsOn(asking('new', 50, '4'), entry, around, []) ?? [])
  assert.equal(bestVictims(candidates)?.entry.name, 'n2')
})

test('room that was made for one is not taken by a less important one', () => {
  const around = cluster({}, { cpu: '1', memory: '1Gi', pods: '10' })
  const promised = { ...around, nominated: [{ pod: asking('important', 100, '1'), nodeName: 'n1' }] }
  assert.deepEqual(fitting(asking('other', 1, '1'), promised), ['n2', 'n3'])
})
