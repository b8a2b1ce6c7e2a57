import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { resumeAnnotation, savedAnnotation } from '../kinds/kubevirt/hibernation.ts'
import { instanceFor, needsRestart, nextStep, openRequests } from './machine-plan.ts'
import { machineStatus, startBackoff, startFailure } from './machine-status.ts'
import { at, object, ready, stamp } from './sample.fixture.ts'

const template = { metadata: { labels: { app: 'db' } }, spec: { domain: { memory: { guest: '1Gi' } } } }

const vm = (runStrategy: string, status: Record<string, unknown> = {}, metadata: object = {}): StoredObject =>
  object('VirtualMachine', 'db', { metadata: { generation: 1, ...metadata }, spec: { runStrategy, template }, status })

const vmi = (phase: string, fields: Record<string, any> = {}): StoredObject =>
  object('VirtualMachineInstance', 'db', {
    metadata: { uid: 'i1', ...fields.metadata },
    spec: {},
    status: { phase, conditions: [ready(phase === 'Running')], ...fields.status },
  })

const leaving = { metadata: { deletionTimestamp: 'x' } }
const saved = { annotations: { [savedAnnotation]: 'true' } }
const requested = (...stateChangeRequests: object[]) => ({ stateChangeRequests })

test('the next step of each run strategy', () => {
  const stop = 'stop'
  const table: [StoredObject, StoredObject | undefined, string][] = [
    [vm('Always'), undefined, 'start'],
    [vm('Always'), vmi('Running'), 'none'],
    [vm('Always'), vmi('Succeeded'), stop],
    [vm('Always'), vmi('Succeeded', leaving), 'none'],
    [vm('Always', requested({ action: 'Stop', uid: 'i1' }, { action: 'Start' })), vmi('Running'), stop],
    [vm('Always', requested({ action: 'Stop', uid: 'older' })), vmi('Running'), 'none'],
    [vm('Halted'), undefined, 'none'],
    [vm('Halted'), vmi('Running'), stop],
    [vm('Halted', requested({ action: 'Start', data: { paused: 'true' } })), undefined, 'always'],
    [vm('Manual'), undefined, 'none'],
    [vm('Manual', requested({ action: 'Start' })), undefined, 'start'],
    [vm('Manual'), vmi('Succeeded'), 'none'],
    [vm('Manual', requested({ action: 'Stop', uid: 'i1' })), vmi('Running'), stop],
    [vm('Once'), undefined, 'start'],
    [vm('Once'), vmi('Succeeded'), 'none'],
    [vm('RerunOnFailure'), undefined, 'start'],
    [vm('RerunOnFailure', { runStrategy: 'RerunOnFailure' }), undefined, 'none'],
    [vm('RerunOnFailure'), vmi('Succeeded'), stop],
    [vm('RerunOnFailure'), vmi('Failed'), 'stop again'],
    [vm('Always', { startFailure: { retryAfterTimestamp: stamp(30) } }), undefined, 'wait 30000'],
    [vm('Always', { startFailure: { retryAfterTimestamp: stamp(-1) } }), undefined, 'start'],
    [vm('Hibernated'), undefined, 'none'],
    [vm('Hibernated'), vmi('Running'), 'hibernate'],
    [vm('Hibernated'), vmi('Running', leaving), 'none'],
    [vm('Always', {}, saved), undefined, 'start'],
    [vm('Always', {}, saved), vmi('Scheduled'), 'none'],
    [vm('Always', {}, saved), vmi('Running'), 'resumed'],
    [vm('Always', {}, leaving.metadata), vmi('Running'), stop],
    [vm('Always', {}, leaving.metadata), undefined, 'none'],
  ]
  for (const [machine, instance, expected] of table) {
    const step = nextStep(machine, instance, at(0))
    const text =
      step.kind === 'wait' ? `wait ${step.ms}` : step.kind === 'stop' && step.again ? 'stop again' : step.kind
    assert.equal(text, expected, `${machine.spec.runStrategy} with ${instance?.status?.phase}`)
  }
})

test('requests are done when what they ask for is so', () => {
  const start = { action: 'Start' }
  const stop = { action: 'Stop', uid: 'i1' }
  const open = (instance: StoredObject | undefined, ...requests: object[]) =>
    openRequests(vm('Manual', requested(...requests)), instance).map(({ action }) => action)
  assert.deepEqual(open(vmi('Pending'), start), [])
  assert.deepEqual(open(undefined, start), ['Start'])
  assert.deepEqual(open(vmi('Failed', leaving), start), ['Start'])
  assert.deepEqual(open(vmi('Running'), stop, start), ['Stop', 'Start'])
  assert.deepEqual(open(undefined, stop, start), ['Start'])
})

test('an instance is its machine’s, and remembers the template', () => {
  const machine = vm('Always')
  const made = instanceFor(machine, true) as StoredObject
  assert.deepEqual([made.metadata.name, made.metadata.labels?.app, made.spec.startStrategy], ['db', 'db', 'Paused'])
  assert.equal(made.metadata.ownerReferences![0]!.uid, machine.metadata.uid)
  assert.equal(needsRestart(machine, made), false)
  const changed = { ...machine, spec: { ...machine.spec, template: { ...template, spec: { domain: {} } } } }
  assert.equal(needsRestart(changed as StoredObject, made), true)
  assert.equal(made.metadata.annotations?.[resumeAnnotation], undefined)
  assert.equal(instanceFor(vm('Always', {}, saved), false).metadata.annotations?.[resumeAnnotation], 'true')
})

const ended = (uid: string, ranFor: number | undefined) => {
  const times = ranFor === undefined ? [] : [{ phase: 'Running', phaseTransitionTimestamp: stamp(0) }]
  const phaseTransitionTimestamps = [...times, { phase: 'Failed', phaseTransitionTimestamp: stamp(ranFor ?? 0) }]
  return vmi('Failed', { metadata: { uid }, status: { phase: 'Failed', phaseTransitionTimestamps } })
}

test('failures to start are counted, each once, and forgotten after a good run', () => {
  assert.deepEqual([1, 2, 3, 5, 6].map(startBackoff), [10_000, 40_000, 90_000, 250_000, 300_000])
  const fail = (machine: StoredObject, instance: StoredObject) =>
    startFailure({ machine, instance, claims: [], now: at(0) })
  const first = fail(vm('Always'), ended('a', undefined))
  assert.deepEqual(first, { consecutiveFailCount: 1, lastFailedVMIUID: 'a', retryAfterTimestamp: stamp(10) })
  assert.deepEqual(fail(vm('Always', { startFailure: first }), ended('a', undefined)), first)
  assert.equal(fail(vm('Always', { startFailure: first }), ended('b', 2))?.consecutiveFailCount, 2)
  assert.equal(fail(vm('Always', { startFailure: first }), ended('b', 60)), undefined)
  assert.equal(fail(vm('Halted', { startFailure: first }), ended('b', undefined)), undefined)
})

test('the printable status', () => {
  const bound = object('PersistentVolumeClaim', 'data', { status: { phase: 'Bound' } })
  const pending = object('PersistentVolumeClaim', 'data', { status: { phase: 'Pending' } })
  const failing = (reason: string) =>
    vmi('Scheduling', {
      status: { phase: 'Scheduling', conditions: [{ type: 'Synchronized', status: 'False', reason }] },
    })
  const paused = { status: { phase: 'Running', conditions: [{ type: 'Paused', status: 'True' }] } }
  const table: [StoredObject, StoredObject | undefined, (StoredObject | undefined)[], string][] = [
    [vm('Halted'), undefined, [], 'Stopped'],
    [vm('Hibernated', {}, saved), undefined, [], 'Hibernated'],
    [vm('Hibernated'), undefined, [], 'Stopped'],
    [vm('Halted'), undefined, [undefined], 'Stopped'],
    [vm('Always'), undefined, [], 'Starting'],
    [vm('Always'), vmi('Pending'), [bound], 'Starting'],
    [vm('Always'), vmi('Pending'), [pending], 'WaitingForVolumeBinding'],
    [vm('Always'), vmi('Pending'), [undefined], 'ErrorPvcNotFound'],
    [vm('Always'), failing('ErrImagePull'), [], 'ErrImagePull'],
    [vm('Always'), failing('ImagePullBackOff'), [], 'ImagePullBackOff'],
    [vm('Always'), vmi('Running'), [], 'Running'],
    [vm('Always'), vmi('Running', paused), [], 'Paused'],
    [vm('Always'), vmi('Running', leaving), [], 'Stopping'],
    [vm('Always', {}, leaving.metadata), vmi('Running'), [], 'Terminating'],
    [vm('Manual'), vmi('Succeeded'), [], 'Stopped'],
    [vm('Always', { startFailure: { consecutiveFailCount: 1 } }), undefined, [], 'CrashLoopBackOff'],
  ]
  for (const [machine, instance, claims, expected] of table)
    assert.equal(machineStatus({ machine, instance, claims, now: at(0) }).printableStatus, expected)
})

test('conditions come from the instance; without one the machine is not ready', () => {
  const agent = { type: 'AgentConnected', status: 'True' }
  const running = vmi('Running', { status: { phase: 'Running', conditions: [ready(), agent] } })
  const up: any = machineStatus({ machine: vm('Always'), instance: running, claims: [], now: at(0) })
  assert.deepEqual(
    up.conditions.map((each: any) => each.type),
    ['Ready', 'AgentConnected'],
  )
  assert.deepEqual([up.created, up.ready], [true, true])
  const down: any = machineStatus({ machine: vm('Halted', up), instance: undefined, claims: [], now: at(1) })
  assert.deepEqual(
    down.conditions.map((each: any) => [each.type, each.status, each.reason]),
    [['Ready', 'False', 'VMINotExists']],
  )
})
