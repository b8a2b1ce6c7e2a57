// Status of Pods in every stage: phase, conditions, container states.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exited, podOf, recordOf, sandboxOf, start, viewOf } from './pod.fixture.ts'
import { podStatus } from './status.ts'
import type { PodView } from './view.ts'

const node = { name: 'n1', addresses: ['192.0.2.1'], cpu: 2, memoryBytes: 2 ** 33 }
const statusOf = (view: PodView): any => JSON.parse(JSON.stringify(podStatus(view, node, start + 5000)))
const condition = (status: any, type: string) => status.conditions.find((entry: any) => entry.type === type)

test('a new Pod is pending and says what it waits for', () => {
  const status = statusOf(viewOf(podOf(), [], { sandbox: undefined }))
  assert.equal(status.phase, 'Pending')
  assert.deepEqual(status.containerStatuses[0].state, { waiting: { reason: 'ContainerCreating' } })
  assert.equal(condition(status, 'PodReadyToStartContainers').status, 'False')
  assert.equal(condition(status, 'Ready').message, 'containers with unready status: [main]')
  assert.equal(status.podIP, undefined)
  assert.equal(status.startTime, '2026-01-01T00:00:00Z')
  assert.equal(status.qosClass, 'BestEffort')
})

test('a running Pod', () => {
  const status = statusOf(viewOf(podOf(), [recordOf('main')]))
  assert.equal(status.phase, 'Running')
  assert.equal(status.podIP, '10.244.0.5')
  assert.deepEqual(status.hostIPs, [{ ip: '192.0.2.1' }])
  assert.deepEqual(status.containerStatuses[0].state, { running: { startedAt: '2026-01-01T00:00:01Z' } })
  assert.equal(status.containerStatuses[0].containerID, 'containerd://main-0')
  for (const { type, status: value } of status.conditions) assert.equal(value, 'True', type)
})

test('times of conditions stay while their status stays', () => {
  const pod = podOf()
  pod.status = {
    conditions: [
      { type: 'Ready', status: 'True', lastTransitionTime: '2025-12-31T00:00:00Z' },
      { type: 'Initialized', status: 'False', lastTransitionTime: '2025-12-31T00:00:00Z' },
      { type: 'mine.example/gate', status: 'True' },
    ],
  } as never
  const status = statusOf(viewOf(pod, [recordOf('main')]))
  assert.equal(condition(status, 'Ready').lastTransitionTime, '2025-12-31T00:00:00Z')
  assert.equal(condition(status, 'Initialized').lastTransitionTime, '2026-01-01T00:00:05Z')
  assert.equal(condition(status, 'mine.example/gate').status, 'True')
})

test('init containers hold the others', () => {
  const pod = podOf({ initContainers: [{ name: 'one', image: 'x' }] })
  const status = statusOf(viewOf(pod, [recordOf('one')]))
  assert.equal(status.phase, 'Pending')
  assert.equal(status.containerStatuses[0].state.waiting.reason, 'PodInitializing')
  assert.equal(condition(status, 'Initialized').message, 'containers with incomplete status: [one]')
  assert.equal(statusOf(viewOf(pod, [exited('one', 0), recordOf('main')])).initContainerStatuses[0].ready, true)
})

test('a crash loop shows the last life', () => {
  const view = viewOf(podOf(), [exited('main', 3, { restartCount: 2, message: 'bye' })])
  view.waiting.set('main', { reason: 'CrashLoopBackOff', message: 'back-off', until: 1 })
  const status = statusOf(view)
  assert.equal(status.phase, 'Running')
  const [main] = status.containerStatuses
  assert.deepEqual(main.state, { waiting: { reason: 'CrashLoopBackOff', message: 'back-off' } })
  assert.equal(main.lastState.terminated.exitCode, 3)
  assert.equal(main.lastState.terminated.message, 'bye')
  assert.equal(main.restartCount, 2)
})

for (const [policy, code, phase] of [
  ['Never', 0, 'Succeeded'],
  ['Never', 1, 'Failed'],
  ['OnFailure', 0, 'Succeeded'],
  ['OnFailure', 1, 'Running'],
  ['Always', 0, 'Running'],
] as const)
  test(`restartPolicy ${policy}, exit code ${code}: ${phase}`, () => {
    const status = statusOf(viewOf(podOf({ restartPolicy: policy }), [exited('main', code)]))
    assert.equal(status.phase, phase)
    assert.equal(status.containerStatuses[0].state.terminated.reason, code === 0 ? 'Completed' : 'Error')
    if (phase === 'Succeeded') assert.equal(condition(status, 'Ready').reason, 'PodCompleted')
    if (phase === 'Failed') assert.equal(condition(status, 'Ready').reason, 'PodFailed')
  })

test('readiness and startup probes decide what ready means', () => {
  const probe = { exec: { command: ['true'] } }
  const pod = podOf({ containers: [{ name: 'main', image: 'x', readinessProbe: probe, startupProbe: probe }] })
  const view = viewOf(pod, [recordOf('main')])
  assert.deepEqual(
    [statusOf(view).containerStatuses[0].started, statusOf(view).containerStatuses[0].ready],
    [false, false],
  )
  view.probes.set('main-0', { started: true, ready: false })
  assert.deepEqual(
    [statusOf(view).containerStatuses[0].started, statusOf(view).containerStatuses[0].ready],
    [true, false],
  )
  view.probes.set('main-0', { started: true, ready: true })
  assert.equal(condition(statusOf(view), 'Ready').status, 'True')
})

test('a readiness gate keeps a Pod from being ready', () => {
  const pod = podOf({ readinessGates: [{ conditionType: 'lb.example/ready' }] })
  const ready = condition(statusOf(viewOf(pod, [recordOf('main')])), 'Ready')
  assert.equal(ready.reason, 'ReadinessGatesNotReady')
  assert.equal(ready.message, 'corresponding condition of pod readiness gate "lb.example/ready" does not exist.')
})

test('a Pod past its deadline fails as soon as nothing runs', () => {
  const ended = { reason: 'DeadlineExceeded', message: 'too long' }
  const pod = podOf()
  pod.status = { phase: 'Running' }
  assert.equal(statusOf(viewOf(pod, [recordOf('main')], { ended })).phase, 'Running')
  const status = statusOf(viewOf(pod, [exited('main', 143)], { ended }))
  assert.deepEqual([status.phase, status.reason, status.message], ['Failed', 'DeadlineExceeded', 'too long'])
})

test('a final phase and the address stay', () => {
  const pod = podOf()
  pod.status = { phase: 'Succeeded', podIPs: [{ ip: '10.244.0.9' }] }
  const status = statusOf(viewOf(pod, [], { sandbox: sandboxOf({ ready: false, addresses: [] }) }))
  assert.deepEqual([status.phase, status.podIP], ['Succeeded', '10.244.0.9'])
})

test('a container that the runtime lost is not forgotten', () => {
  const pod = podOf()
  pod.status = {
    containerStatuses: [
      {
        name: 'main',
        containerID: 'containerd://gone',
        restartCount: 1,
        state: { running: {} },
        ready: true,
        image: 'x',
        imageID: 'y',
      },
    ],
  } as never
  const [main] = statusOf(viewOf(pod)).containerStatuses
  assert.equal(main.lastState.terminated.reason, 'ContainerStatusUnknown')
  assert.equal(main.ready, false)
})
