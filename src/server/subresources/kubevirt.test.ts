// start, stop, restart, hibernate and resume of VirtualMachines.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer, type TestServer, userNamed } from '../server.fixture.ts'

const group = '/apis/kubevirt.io/v1/namespaces/default'
const doors = '/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachines/vm'
const template = {
  spec: {
    domain: { memory: { guest: '64Mi' }, devices: { disks: [{ name: 'd', disk: { bus: 'virtio' } }] } },
    volumes: [{ name: 'd', emptyDisk: { capacity: '1Gi' } }],
  },
}

async function machine(runStrategy: string, phase?: string): Promise<TestServer> {
  const tandem = await startServer()
  const meta = { apiVersion: 'kubevirt.io/v1', metadata: { name: 'vm' } }
  await tandem.ok('POST', `${group}/virtualmachines`, {
    ...meta,
    kind: 'VirtualMachine',
    spec: { runStrategy, template },
  })
  if (!phase) return tandem
  const instance = await tandem.ok('POST', `${group}/virtualmachineinstances`, {
    ...meta,
    kind: 'VirtualMachineInstance',
    spec: template.spec,
  })
  await tandem.ok('PUT', `${group}/virtualmachineinstances/vm/status`, { ...instance, status: { phase } })
  return tandem
}

const refusedWith = async (tandem: TestServer, action: string, text: string, body = {}) =>
  assert.equal(
    await tandem.refused(409, 'PUT', `${doors}/${action}`, body),
    `Operation cannot be fulfilled on virtualmachine.kubevirt.io "vm": ${text}`,
  )

const current = (tandem: TestServer) => tandem.ok('GET', `${group}/virtualmachines/vm`)

test('start: a halted machine runs; a running one is refused', async () => {
  const halted = await machine('Halted')
  assert.equal((await halted.call('PUT', `${doors}/start`)).status, 202)
  assert.equal((await current(halted)).spec.runStrategy, 'Always')
  await refusedWith(await machine('Always', 'Running'), 'start', 'VM is already running')
  await refusedWith(await machine('Always'), 'start', 'Always does not support manual start requests')
  await refusedWith(
    await machine('RerunOnFailure', 'Failed'),
    'start',
    'RerunOnFailure does not support starting VM from failed state',
  )
})

test('start of a manual machine is a request in its status, once', async () => {
  const tandem = await machine('Manual')
  await tandem.call('PUT', `${doors}/start`)
  assert.deepEqual((await current(tandem)).status.stateChangeRequests, [{ action: 'Start' }])
  await refusedWith(tandem, 'start', 'unable to complete request: stop/start already underway')
})

test('stop: by strategy', async () => {
  const always = await machine('Always', 'Running')
  await always.call('PUT', `${doors}/stop`, {})
  assert.equal((await current(always)).spec.runStrategy, 'Halted')
  const manual = await machine('Manual', 'Running')
  await manual.call('PUT', `${doors}/stop`, {})
  const { stateChangeRequests, ...rest } = (await current(manual)).status
  assert.equal(stateChangeRequests[0].action, 'Stop', JSON.stringify(rest))
  // One that crashes over and over has no instance most of the time.
  const looping = await machine('Always')
  assert.equal((await looping.call('PUT', `${doors}/stop`, {})).status, 202)
  assert.equal((await current(looping)).spec.runStrategy, 'Halted')
  await refusedWith(await machine('Manual'), 'stop', 'VM is not running')
  await refusedWith(await machine('RerunOnFailure', 'Succeeded'), 'stop', 'VM is not running')
  await refusedWith(
    await machine('Halted', 'Running'),
    'stop',
    'Halted only supports manual stop requests with a shorter graceperiod',
  )
  assert.equal(
    await (await machine('Always', 'Running')).refused(400, 'PUT', `${doors}/stop`, { gracePeriod: -3 }),
    'gracePeriod has to be greater or equal to 0',
  )
})

test('restart: stop and start together', async () => {
  const tandem = await machine('Always', 'Running')
  assert.equal((await tandem.call('PUT', `${doors}/restart`, {})).status, 202)
  const actions = (await current(tandem)).status.stateChangeRequests.map((one: any) => one.action)
  assert.deepEqual(actions, ['Stop', 'Start'])
  const over = await machine('Manual', 'Succeeded')
  assert.equal((await over.call('PUT', `${doors}/restart`, {})).status, 202)
  await refusedWith(await machine('Manual'), 'restart', 'VM is not running: Halted')
  await refusedWith(await machine('Halted'), 'restart', 'RunStategy Halted does not support manual restart requests')
  assert.equal(
    await (await machine('Always', 'Running')).refused(400, 'PUT', `${doors}/restart`, { gracePeriodSeconds: 5 }),
    'For force restart, only gracePeriod=0 is supported for now',
  )
})

test('one that waits for a migration is neither started, stopped nor restarted by hand', async () => {
  const tandem = await machine('WaitAsReceiver', 'WaitingForSync')
  await refusedWith(tandem, 'stop', 'WaitAsReceiver does not support manual stop requests')
  await refusedWith(tandem, 'start', 'VM is already running')
  await refusedWith(tandem, 'restart', 'RunStategy WaitAsReceiver does not support manual restart requests')
})

test('hibernate and resume: there and back to the former strategy', async () => {
  const tandem = await machine('Manual', 'Running')
  assert.equal((await tandem.call('PUT', `${doors}/hibernate`, {})).status, 202)
  assert.equal((await current(tandem)).spec.runStrategy, 'Hibernated')
  await refusedWith(tandem, 'hibernate', 'VM is hibernated already')
  await tandem.ok('DELETE', `${group}/virtualmachineinstances/vm`)
  await tandem.call('PUT', `${doors}/resume`, {})
  const { spec, status, metadata } = await current(tandem)
  assert.equal(spec.runStrategy, 'Manual')
  assert.deepEqual(status.stateChangeRequests, [{ action: 'Start' }])
  assert.deepEqual(metadata.annotations ?? {}, {})
  await refusedWith(await machine('Always', 'Running'), 'resume', 'VM is not hibernated')
  await refusedWith(await machine('Halted'), 'hibernate', 'VM is not running')
})

test('start wakes a hibernated machine', async () => {
  const tandem = await machine('Hibernated')
  assert.equal((await tandem.call('PUT', `${doors}/start`, {})).status, 202)
  assert.equal((await current(tandem)).spec.runStrategy, 'Always')
})

test('the doors have their own permissions and methods', async () => {
  const tandem = await machine('Halted')
  assert.match(
    await tandem.refused(403, 'PUT', `${doors}/start`, {}, { user: userNamed('bob') }),
    /cannot update resource "virtualmachines\/start" in API group "subresources.kubevirt.io"/,
  )
  await tandem.refused(405, 'GET', `${doors}/start`)
  await tandem.refused(404, 'PUT', `${doors}/constructor`)
  const instances = doors.replace('virtualmachines/vm', 'virtualmachineinstances/vm')
  assert.match(await tandem.refused(503, 'PUT', `${instances}/pause`), /is not served by this Tandem/)
})
