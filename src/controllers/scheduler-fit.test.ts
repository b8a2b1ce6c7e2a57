import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { tolerates } from '../kinds/core/node-matching.ts'
import { object } from './sample.fixture.ts'
import { placeWith, SchedulerBook } from './scheduler-book.ts'
import { failureText, noVictimsText } from './scheduler-choice.ts'
import { type Misfit, machineRequests, misfits, podRequests } from './scheduler-fit.ts'

const node = (spec: Record<string, unknown> = {}, labels: Record<string, string> = {}): StoredObject =>
  object('Node', 'n1', {
    metadata: { labels },
    spec,
    status: { allocatable: { cpu: '2', memory: '1Gi', pods: '3' } },
  })

const pod = (spec: Record<string, unknown> = {}): StoredObject =>
  object('Pod', 'p', { spec: { containers: [{}], ...spec } })

const asking = (cpu: string, memory = '0'): StoredObject =>
  pod({ containers: [{ resources: { requests: { cpu, memory } } }] })

function why(candidate: StoredObject, on = node(), others: StoredObject[] = []): string[] {
  const book = new SchedulerBook()
  book.setNode(on)
  for (const other of others) book.setPod(other, 'n1')
  return misfits(candidate, placeWith(book.at('n1')!, new Set())).map(({ reason }) => reason)
}

const milli = (amounts: Map<string, bigint>, name: string): number => Number((amounts.get(name) ?? 0n) / 1_000_000n)

test('requests: containers together, or the largest init container, sidecars always', () => {
  const with_ = (cpu: string, extra: object = {}) => ({ resources: { requests: { cpu } }, ...extra })
  const sum = (spec: Record<string, unknown>) => milli(podRequests(pod(spec)), 'cpu')
  assert.equal(sum({ containers: [with_('100m'), with_('200m')] }), 300)
  assert.equal(sum({ containers: [with_('100m')], initContainers: [with_('1')] }), 1000)
  const sidecar = with_('50m', { restartPolicy: 'Always' })
  assert.equal(sum({ containers: [with_('100m')], initContainers: [sidecar, with_('20m')] }), 150)
  assert.equal(sum({ containers: [with_('100m')], initContainers: [sidecar, with_('500m')] }), 550)
  assert.equal(sum({ containers: [with_('100m')], overhead: { cpu: '250m' } }), 350)
})

test('a machine takes its memory and a tenth of each of its CPUs', () => {
  const domain = { cpu: { cores: 4 }, memory: { guest: '512Mi' } }
  const taken = machineRequests(object('VirtualMachineInstance', 'm', { spec: { domain } }))
  assert.equal(milli(taken, 'cpu'), 400)
  assert.equal(taken.get('memory'), 512n * 1024n * 1024n * 1_000_000_000n)
})

test('why a Pod does not fit', () => {
  const affinity = (operator: string, values: string[]) => ({
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator, values }] }],
        },
      },
    },
  })
  const port = (hostPort: number) => pod({ containers: [{ ports: [{ hostPort, containerPort: 80 }] }] })
  const selector = "node(s) didn't match Pod's node affinity/selector"
  const taints = [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }]
  const table: [string[], string[]][] = [
    [why(pod()), []],
    [why(asking('3')), ['Insufficient cpu']],
    [why(asking('1500m'), node(), [asking('600m')]), ['Insufficient cpu']],
    [why(asking('3', '2Gi')), ['Insufficient cpu', 'Insufficient memory']],
    [why(pod(), node(), [pod(), pod(), pod()]), ['Too many pods']],
    [why(pod({ nodeSelector: { disk: 'ssd' } })), [selector]],
    [why(pod({ nodeSelector: { disk: 'ssd' } }), node({}, { disk: 'ssd' })), []],
    [why(pod(affinity('In', ['a'])), node({}, { zone: 'b' })), [selector]],
    [why(pod(affinity('NotIn', ['a'])), node({}, { zone: 'b' })), []],
    [why(pod(affinity('Gt', ['3'])), node({}, { zone: '5' })), []],
    [why(pod(), node({ taints })), ['node(s) had untolerated taint {gpu: yes}']],
    [why(pod({ tolerations: [{ key: 'gpu', operator: 'Exists' }] }), node({ taints })), []],
    [why(pod(), node({ unschedulable: true })), ['node(s) were unschedulable']],
    [why(port(80), node(), [port(80)]), ["node(s) didn't have free ports for the requested pod ports"]],
    [why(port(80), node(), [port(81)]), []],
  ]
  for (const [found, expected] of table) assert.deepEqual(found, expected)
})

test('tolerations', () => {
  const taint = { key: 'k', value: 'v', effect: 'NoExecute' }
  const table: [object, boolean][] = [
    [{ operator: 'Exists' }, true],
    [{ key: 'k', operator: 'Exists' }, true],
    [{ key: 'k', value: 'v' }, true],
    [{ key: 'k', value: 'w' }, false],
    [{ key: 'k', value: 'v', effect: 'NoSchedule' }, false],
    [{ value: 'v' }, false],
  ]
  for (const [toleration, expected] of table) assert.equal(tolerates([toleration], taint), expected)
})

test('the text that an Event has', () => {
  const text = (found: Misfit[][]) => failureText(found, noVictimsText(found))
  assert.equal(text([]), 'no nodes available to schedule pods')
  const small = [
    { reason: 'Insufficient memory', helped: true },
    { reason: 'Insufficient cpu', helped: false },
  ]
  assert.equal(
    text([small]),
    '0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.',
  )
  assert.equal(
    text([small, [{ reason: 'Insufficient memory', helped: true }]]),
    '0/2 nodes are available: 1 Insufficient cpu, 2 Insufficient memory. preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.',
  )
})

test('a granted resize counts until the smaller one is in effect', () => {
  const status = { containerStatuses: [{ name: 'c', allocatedResources: { cpu: '2' } }] }
  const resizing = object('Pod', 'p', {
    spec: { containers: [{ name: 'c', resources: { requests: { cpu: '1' } } }] },
    status,
  })
  assert.equal(milli(podRequests(resizing), 'cpu'), 2000)
})
