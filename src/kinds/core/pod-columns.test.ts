// What `kubectl get pods` says, case by case.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiObject } from '../../api/meta.ts'
import { tableRow } from '../../api/table.ts'
import { podColumns } from './pod-columns.ts'

const now = Date.parse('2026-01-01T01:00:00Z')

interface Case {
  name: string
  containers?: number
  spec?: object
  status: object
  deleted?: boolean
  want: [ready: string, status: string, restarts: string]
}

const running = { state: { running: { startedAt: '2026-01-01T00:00:00Z' } }, ready: true, restartCount: 0 }
const waiting = (reason: string, restartCount = 0, lastState = {}) => ({
  state: { waiting: { reason } },
  lastState,
  ready: false,
  restartCount,
})
const ended = (exitCode: number, rest = {}) => ({
  state: { terminated: { exitCode, ...rest } },
  ready: false,
  restartCount: 0,
})
const initialized = { type: 'Initialized', status: 'True' }

const cases: Case[] = [
  { name: 'nothing yet', status: { phase: 'Pending' }, want: ['0/1', 'Pending', '0'] },
  { name: 'runs', status: { phase: 'Running', containerStatuses: [running] }, want: ['1/1', 'Running', '0'] },
  {
    name: 'is created',
    status: { phase: 'Pending', containerStatuses: [waiting('ContainerCreating')] },
    want: ['0/1', 'ContainerCreating', '0'],
  },
  {
    name: 'crashes again and again',
    status: {
      phase: 'Running',
      containerStatuses: [
        waiting('CrashLoopBackOff', 4, { terminated: { exitCode: 1, finishedAt: '2026-01-01T00:55:00Z' } }),
      ],
    },
    want: ['0/1', 'CrashLoopBackOff', '4 (5m ago)'],
  },
  {
    name: 'is done',
    status: { phase: 'Succeeded', containerStatuses: [ended(0, { reason: 'Completed' })] },
    want: ['0/1', 'Completed', '0'],
  },
  {
    name: 'failed without a reason',
    status: { phase: 'Failed', containerStatuses: [ended(3)] },
    want: ['0/1', 'ExitCode:3', '0'],
  },
  {
    name: 'was killed by a signal',
    status: { phase: 'Failed', containerStatuses: [ended(137, { signal: 9 })] },
    want: ['0/1', 'Signal:9', '0'],
  },
  {
    name: 'was evicted',
    status: { phase: 'Failed', reason: 'Evicted' },
    want: ['0/1', 'Evicted', '0'],
  },
  {
    name: 'one of two is done while the Pod is ready',
    containers: 2,
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [ended(0, { reason: 'Completed' }), running],
    },
    want: ['1/2', 'Running', '0'],
  },
  {
    name: 'one of two is done while the Pod is not ready',
    containers: 2,
    status: { phase: 'Running', containerStatuses: [ended(0, { reason: 'Completed' }), running] },
    want: ['1/2', 'NotReady', '0'],
  },
  {
    name: 'the second of two init containers runs',
    spec: { initContainers: [{ name: 'a' }, { name: 'b' }] },
    status: {
      phase: 'Pending',
      initContainerStatuses: [
        { name: 'a', ...ended(0, { reason: 'Completed' }) },
        { name: 'b', ...running },
      ],
      containerStatuses: [waiting('PodInitializing')],
    },
    want: ['0/1', 'Init:1/2', '0'],
  },
  {
    name: 'an init container fails',
    spec: { initContainers: [{ name: 'a' }] },
    status: { phase: 'Pending', initContainerStatuses: [{ name: 'a', ...ended(1, { reason: 'Error' }) }] },
    want: ['0/1', 'Init:Error', '0'],
  },
  {
    name: 'an init container fails again and again',
    spec: { initContainers: [{ name: 'a' }] },
    status: { phase: 'Pending', initContainerStatuses: [{ name: 'a', ...waiting('CrashLoopBackOff', 2) }] },
    want: ['0/1', 'Init:CrashLoopBackOff', '2'],
  },
  {
    name: 'a sidecar counts as a container',
    spec: { initContainers: [{ name: 'a', restartPolicy: 'Always' }] },
    status: {
      phase: 'Running',
      conditions: [initialized],
      initContainerStatuses: [{ name: 'a', started: true, ...running, restartCount: 1 }],
      containerStatuses: [running],
    },
    want: ['2/2', 'Running', '1'],
  },
  {
    name: 'restarts of init containers do not count once they are done',
    spec: { initContainers: [{ name: 'a' }] },
    status: {
      phase: 'Running',
      conditions: [initialized],
      initContainerStatuses: [{ name: 'a', ...ended(0, { reason: 'Completed' }), restartCount: 3 }],
      containerStatuses: [running],
    },
    want: ['1/1', 'Running', '0'],
  },
  {
    name: 'goes away',
    deleted: true,
    status: { phase: 'Running', containerStatuses: [running] },
    want: ['1/1', 'Terminating', '0'],
  },
  {
    name: 'goes away after its end',
    deleted: true,
    status: { phase: 'Succeeded', containerStatuses: [ended(0, { reason: 'Completed' })] },
    want: ['0/1', 'Completed', '0'],
  },
  {
    name: 'its node is lost',
    deleted: true,
    status: { phase: 'Running', reason: 'NodeLost' },
    want: ['0/1', 'Unknown', '0'],
  },
]

for (const { name, containers = 1, spec, status, deleted, want } of cases) {
  test(name, () => {
    const pod: ApiObject = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'x',
        creationTimestamp: '2026-01-01T00:00:00Z',
        ...(deleted && { deletionTimestamp: '2026-01-01T00:30:00Z' }),
      },
      spec: { containers: Array.from({ length: containers }, (_, index) => ({ name: `c${index}` })), ...spec },
      status,
    }
    const { cells } = tableRow(pod, podColumns, { now })
    assert.deepEqual(cells, ['x', ...want, '60m', '<none>', '<none>', '<none>', '<none>', '<none>'])
  })
}
