// Migrations at the API: who may move, one at a time, and what virtctl sends.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer, type TestServer } from '../server.fixture.ts'

const group = '/apis/kubevirt.io/v1/namespaces/default'
const door = '/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachines/vm/migrate'
const migrations = `${group}/virtualmachineinstancemigrations`

async function server(status?: object): Promise<TestServer> {
  const tandem = await startServer()
  const spec = { domain: { devices: {}, memory: { guest: '64Mi' } } }
  const head = (kind: string) => ({ apiVersion: 'kubevirt.io/v1', kind, metadata: { name: 'vm' } })
  const machine = { ...head('VirtualMachine'), spec: { runStrategy: 'Always', template: { spec } } }
  await tandem.ok('POST', `${group}/virtualmachines`, machine)
  if (!status) return tandem
  const instance = await tandem.ok('POST', `${group}/virtualmachineinstances`, {
    ...head('VirtualMachineInstance'),
    spec,
  })
  await tandem.ok('PUT', `${group}/virtualmachineinstances/vm/status`, { ...instance, status })
  return tandem
}

const migration = (spec: object) => ({
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachineInstanceMigration',
  metadata: { name: 'job' },
  spec,
})

const running = (conditions: object[] = []) => ({ phase: 'Running', conditions })

test('migrate makes a migration that virtctl finds again', async () => {
  const tandem = await server(running())
  assert.equal((await tandem.call('PUT', door, { addedNodeSelector: { zone: 'a' } })).status, 202)
  const query = '?labelSelector=kubevirt.io%2Fvmi-name%3D%3Dvm'
  const [made] = (await tandem.ok('GET', `${migrations}${query}`)).items
  assert.match(made.metadata.name, /^kubevirt-migrate-vm-.{5}$/)
  assert.deepEqual(made.spec, { vmiName: 'vm', addedNodeSelector: { zone: 'a' } })
  assert.deepEqual(made.metadata.finalizers, ['kubevirt.io/migrationJobFinalize'])
  assert.match(
    await tandem.refused(500, 'PUT', door, {}),
    /^Internal error occurred: in-flight migration detected\. Active migration job \(.+\) is currently already in progress for VMI vm\.$/,
  )
})

test('a dry run makes none', async () => {
  const tandem = await server(running())
  assert.equal((await tandem.call('PUT', door, { dryRun: ['All'] })).status, 202)
  assert.equal((await tandem.ok('GET', migrations)).items.length, 0)
})

test('what does not run, or cannot move, is not migrated', async () => {
  assert.equal(
    await (await server()).refused(404, 'PUT', door, {}),
    'virtualmachineinstances.kubevirt.io "vm" not found'.replace('instances', 'instance'),
  )
  const pending = await server({ phase: 'Scheduling' })
  assert.equal(
    await pending.refused(409, 'PUT', door, {}),
    'Operation cannot be fulfilled on virtualmachine.kubevirt.io "vm": VM is not running',
  )
  const condition = { type: 'LiveMigratable', status: 'False', reason: 'NotMigratable', message: 'for a reason' }
  const fixed = await server(running([condition]))
  assert.equal(
    await fixed.refused(400, 'POST', migrations, migration({ vmiName: 'vm' })),
    'Cannot migrate VMI, Reason: NotMigratable, Message: for a reason',
  )
  assert.equal(
    await fixed.refused(400, 'POST', migrations, migration({ vmiName: 'none' })),
    'the VMI "default/none" does not exist',
  )
  const over = await server({ phase: 'Succeeded' })
  assert.equal(
    await over.refused(400, 'POST', migrations, migration({ vmiName: 'vm' })),
    'Cannot migrate VMI in finalized state.',
  )
})

test('a migration is what it was made as', async () => {
  const tandem = await server(running())
  assert.match(await tandem.refused(422, 'POST', migrations, migration({})), /vmiName is missing/)
  assert.match(
    await tandem.refused(422, 'POST', migrations, migration({ vmiName: 'vm', priority: 'system-critical' })),
    /only virt-controller is allowed to set priority field/,
  )
  assert.match(
    await tandem.refused(422, 'POST', migrations, migration({ vmiName: 'vm', receive: { migrationID: 'x' } })),
    /DecentralizedLiveMigration feature gate is not enabled/,
  )
  const made = await tandem.ok('POST', migrations, migration({ vmiName: 'vm' }))
  assert.match(
    await tandem.refused(422, 'PUT', `${migrations}/job`, { ...made, spec: { vmiName: 'other' } }),
    /update of Migration object's spec is restricted/,
  )
  const labels = { 'kubevirt.io/vmi-name': 'other' }
  assert.match(
    await tandem.refused(422, 'PUT', `${migrations}/job`, { ...made, metadata: { ...made.metadata, labels } }),
    /selector label can't be modified on an in-flight migration/,
  )
})

test('a policy is refused what it cannot have', async () => {
  const tandem = await startServer()
  const path = '/apis/migrations.kubevirt.io/v1alpha1/migrationpolicies'
  const policy = (spec: object) => ({
    apiVersion: 'migrations.kubevirt.io/v1alpha1',
    kind: 'MigrationPolicy',
    metadata: { name: 'p' },
    spec: { selectors: {}, ...spec },
  })
  assert.match(await tandem.refused(422, 'POST', path, policy({ allowPostCopy: true })), /post-copy is not supported/)
  assert.match(await tandem.refused(422, 'POST', path, policy({ completionTimeoutPerGiB: -1 })), /must not be negative/)
  assert.match(
    await tandem.refused(422, 'POST', path, policy({ bandwidthPerMigration: '-1Mi' })),
    /must not be negative/,
  )
  await tandem.ok('POST', path, policy({ allowPostCopy: false, bandwidthPerMigration: '2000Mi', maxDowntimeMs: 50 }))
})
