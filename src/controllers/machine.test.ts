import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { resumeAnnotation, savedAnnotation } from '../kinds/kubevirt/hibernation.ts'
import { receiverAnnotation } from '../kinds/kubevirt/instance-marks.ts'
import { restartReason } from './machine-live.ts'
import { instanceFor, nextStep, openRequests } from './machine-plan.ts'
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
    [vm('Once'), vmi('Failed'), 'none'],
    [vm('Once', { startFailure: { retryAfterTimestamp: stamp(30) } }), undefined, 'start'],
    [vm('WaitAsReceiver'), undefined, 'start'],
    [vm('WaitAsReceiver'), vmi('WaitingForSync'), 'none'],
    [vm('Halted'), vmi('WaitingForSync'), stop],
    [vm('RerunOnFailure'), undefined, 'start'],
    [vm('RerunOnFailure', { runStrategy: 'RerunOnFailure' }), undefined, 'none'],
    [vm('RerunOnFailure'), vmi('Succeeded'), stop],
    [vm('RerunOnFailure'), vmi('Failed'), 'stop again'],
    [vm('RerunOnFailure', requested({ action: 'Stop', uid: 'i1' })), vmi('Failed'), 'stop again'],
    [vm('RerunOnFailure', requested({ action: 'Stop', uid: 'i1' })), vmi('Running'), stop],
    [vm('RerunOnFailure', { runStrategy: 'Halted' }), undefined, 'start'],
    [
      vm('RerunOnFailure', {
        runStrategy: 'RerunOnFailure',
        startFailure: { retryAfterTimestamp: stamp(30) },
        ...requested({ action: 'Start' }),
      }),
      undefined,
      'wait 30000',
    ],
    [vm('Manual'), vmi('Failed'), 'none'],
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
  assert.equal(restartReason(machine, made), undefined)
  const changed = {
    ...machine,
    spec: { ...machine.spec, template: { ...template, spec: { ...template.spec, hostname: 'other' } } },
  }
  assert.match(restartReason(changed as StoredObject, made) ?? '', /non-live-updatable/)
  assert.equal(made.metadata.annotations?.[resumeAnnotation], undefined)
  assert.equal(instanceFor(vm('Always', {}, saved), false).metadata.annotations?.[resumeAnnotation], 'true')
  assert.equal(made.metadata.annotations?.[receiverAnnotation], undefined)
  assert.equal(instanceFor(vm('WaitAsReceiver'), false).metadata.annotations?.[receiverAnnotation], 'true')
})

const ended = (uid: string, ranFor: number | undefined) => {
  const times = ranFor === undefined ? [] : [{ phase: 'Running', phaseTransitionTimestamp: stamp(0) }]
  const phaseTransitionTimestamps = [...times, { phase: 'Failed', phaseTransitionTimestamp: stamp(ranFor ?? 0) }]
  return vmi('Failed', { metadata: { uid }, status: { phase: 'Failed', phaseTransitionTimestamps } })
}

test('the strategy is noted with the first instance, so that one that never came about is still started', () => {
  const note = (machine: StoredObject, instance?: StoredObject) =>
    machineStatus({ machine, instance, claims: [], now: at(0) }).runStrategy
  assert.equal(note(vm('RerunOnFailure')), undefined)
  assert.equal(note(vm('RerunOnFailure'), vmi('Pending')), 'RerunOnFailure')
  assert.equal(note(vm('RerunOnFailure', { runStrategy: 'Halted' })), 'RerunOnFailure')
})

test('failures to start are counted, each once, and forgotten after a good run', () => {
  const waits = (chance: number) => [1, 2, 3, 5, 6].map((failures) => startBackoff(failures, chance))
  assert.deepEqual(waits(0), [10_000, 40_000, 90_000, 250_000, 300_000])
  assert.deepEqual(waits(1), [15_000, 60_000, 135_000, 300_000, 300_000])
  const fail = (machine: StoredObject, instance: StoredObject) =>
    startFailure({ machine, instance, claims: [], now: at(0) })
  const first = fail(vm('Always'), ended('a', undefined))
  assert.deepEqual(first, { consecutiveFailCount: 1, lastFailedVMIUID: 'a', retryAfterTimestamp: stamp(10) })
  assert.deepEqual(fail(vm('Always', { startFailure: first }), ended('a', undefined)), first)
  assert.equal(fail(vm('Always', { startFailure: first }), ended('b', 2))?.consecutiveFailCount, 2)
  assert.equal(fail(vm('Always', { startFailure: first }), ended('b', 60)), undefined)
  for (const strategy of ['Halted', 'Manual', 'WaitAsReceiver', 'Hibernated'])
    assert.equal(fail(vm(strategy, { startFailure: first }), ended('b', undefined)), undefined, strategy)
  // What is not started again by itself does not go in circles.
  assert.equal(fail(vm('Once'), ended('b', 2)), undefined)
  for (const strategy of ['RerunOnFailure', 'Once'])
    assert.equal(fail(vm(strategy), ended('b', undefined))?.consecutiveFailCount, 1, strategy)
})

test('the printable status: all 17 of KubeVirt’s, and Hibernated', () => {
  const claim = (phase: string) => object('PersistentVolumeClaim', 'data', { status: { phase } })
  const [bound, pending] = [claim('Bound'), claim('Pending')]
  const failing = (reason: string, type = 'Synchronized') =>
    vmi('Scheduling', { status: { phase: 'Scheduling', conditions: [{ type, status: 'False', reason }] } })
  const running = (fields: object) => vmi('Running', { status: { phase: 'Running', ...fields } })
  const paused = running({ conditions: [{ type: 'Paused', status: 'True' }] })
  const migrating = (endTimestamp?: string) =>
    running({ migrationState: { startTimestamp: stamp(-5), ...(endTimestamp && { endTimestamp }) } })
  const volume = (phase: string, ...conditions: object[]) =>
    object('DataVolume', 'data', { status: { phase, conditions } })
  const broken = { type: 'Running', status: 'False', reason: 'Error' }
  const failure = { startFailure: { consecutiveFailCount: 1 } }
  const always = vm('Always')
  type Given = [StoredObject, StoredObject?, { claims?: (StoredObject | undefined)[]; dataVolumes?: StoredObject[] }?]
  const table: [string, ...Given][] = [
    ['Stopped', vm('Halted')],
    ['Stopped', vm('Halted'), undefined, { claims: [undefined] }],
    ['Stopped', vm('Halted'), undefined, { claims: [pending] }],
    ['Stopped', vm('Hibernated')],
    ['Stopped', vm('Manual'), vmi('Succeeded')],
    ['Stopped', vm('Manual'), vmi('Failed')],
    ['Stopped', vm('Once'), ended('b', 2)],
    ['Stopped', always, ended('b', 60)],
    ['Stopped', vm('RerunOnFailure', { runStrategy: 'RerunOnFailure' })],
    ['Stopped', vm('Halted', failure)],
    ['Hibernated', vm('Hibernated', {}, saved)],
    ['Starting', always],
    ['Starting', vm('RerunOnFailure')],
    ['Starting', always, vmi('')],
    ['Starting', always, vmi('Pending'), { claims: [bound] }],
    ['Starting', always, vmi('Scheduling')],
    ['Starting', always, vmi('Scheduled')],
    ['Provisioning', always, undefined, { dataVolumes: [volume('ImportInProgress')] }],
    ['Provisioning', vm('Halted'), undefined, { dataVolumes: [volume('ImportInProgress')] }],
    ['Provisioning', always, vmi('Pending'), { claims: [pending], dataVolumes: [volume('ImportScheduled')] }],
    [
      'Provisioning',
      always,
      undefined,
      { dataVolumes: [volume('WaitForFirstConsumer', { type: 'Bound', status: 'True' })] },
    ],
    ['Starting', always, undefined, { claims: [bound], dataVolumes: [volume('Succeeded')] }],
    [
      'WaitingForVolumeBinding',
      always,
      undefined,
      { claims: [pending], dataVolumes: [volume('WaitForFirstConsumer')] },
    ],
    ['WaitingForVolumeBinding', always, undefined, { claims: [pending], dataVolumes: [volume('PendingPopulation')] }],
    ['WaitingForVolumeBinding', always, vmi('Pending'), { claims: [pending] }],
    ['DataVolumeError', always, vmi('Pending'), { dataVolumes: [volume('Failed')] }],
    ['DataVolumeError', vm('Halted'), undefined, { dataVolumes: [volume('ImportInProgress', broken)] }],
    ['ErrorPvcNotFound', always, vmi('Pending'), { claims: [undefined] }],
    ['ErrorPvcNotFound', always, failing('FailedPvcNotFound')],
    ['ErrorUnschedulable', always, failing('Unschedulable', 'PodScheduled')],
    ['ErrImagePull', always, failing('ErrImagePull')],
    ['ImagePullBackOff', always, failing('ImagePullBackOff')],
    ['Running', always, vmi('Running')],
    ['Running', always, vmi('Running'), { dataVolumes: [volume('ImportInProgress')] }],
    ['Running', always, migrating(stamp(-1))],
    ['Migrating', always, migrating()],
    ['Paused', always, paused],
    ['Stopping', always, vmi('Running', leaving)],
    ['Stopped', vm('Halted'), vmi('Succeeded', leaving)],
    ['Terminating', vm('Always', {}, leaving.metadata), vmi('Running')],
    ['CrashLoopBackOff', vm('Always', failure)],
    ['CrashLoopBackOff', vm('Always', failure), vmi('Failed')],
    ['CrashLoopBackOff', vm('Once', failure), vmi('Failed')],
    ['CrashLoopBackOff', vm('RerunOnFailure', { ...failure, runStrategy: 'RerunOnFailure' })],
    ['WaitingForReceiver', vm('WaitAsReceiver')],
    ['WaitingForReceiver', vm('WaitAsReceiver'), vmi('WaitingForSync')],
    ['Unknown', always, vmi('Unknown')],
  ]
  for (const [expected, machine, instance, { claims = [], dataVolumes = [] } = {}] of table) {
    const template = { ...machine.spec.template, spec: { volumes: [{ name: 'd', dataVolume: { name: 'data' } }] } }
    const withVolume = claims.length ? { ...machine, spec: { ...machine.spec, template } } : machine
    const { printableStatus } = machineStatus({ machine: withVolume, instance, claims, dataVolumes, now: at(0) })
    assert.equal(printableStatus, expected, `${machine.spec.runStrategy} with ${instance?.status?.phase}`)
  }
  assert.equal(new Set(table.map(([expected]) => expected)).size, 18)
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
