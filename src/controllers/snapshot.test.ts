// Snapshots and restores through the API, with a host that only says that it copied.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { filledAnnotation } from '../kinds/snapshot/memory.ts'
import { startTestPlatform, type TestPlatform } from './platform.fixture.ts'
import {
  persistentVolumeClaims,
  virtualMachineInstances,
  virtualMachineRestores,
  virtualMachineSnapshotContents,
  virtualMachineSnapshots,
  virtualMachines,
} from './resources.ts'
import { timeLeft } from './snapshot-plan.ts'

const metadata = (name: string) => ({ name, namespace: 'default' })
const reference = (name: string) => ({ apiGroup: 'kubevirt.io', kind: 'VirtualMachine', name })

const claim: ApiObject = {
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { ...metadata('data'), annotations: { 'volume.kubernetes.io/selected-node': 'node-1' } },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
}

const machine = (runStrategy: string): ApiObject => ({
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachine',
  metadata: metadata('db'),
  spec: {
    runStrategy,
    template: {
      spec: {
        domain: { memory: { guest: '64Mi' }, devices: { disks: [{ name: 'root' }, { name: 'data' }] } },
        volumes: [
          { name: 'root', containerDisk: { image: 'a:1' } },
          { name: 'data', persistentVolumeClaim: { claimName: 'data' } },
        ],
      },
    },
  },
})

const snapshot = (spec: object = {}): ApiObject => ({
  apiVersion: 'snapshot.kubevirt.io/v1beta1',
  kind: 'VirtualMachineSnapshot',
  metadata: metadata('s'),
  spec: { source: reference('db'), ...spec },
})

const restore = (name: string, spec: object = {}): ApiObject => ({
  apiVersion: 'snapshot.kubevirt.io/v1beta1',
  kind: 'VirtualMachineRestore',
  metadata: metadata(name),
  spec: { target: reference('db'), virtualMachineSnapshotName: 's', ...spec },
})

async function withMachine(platform: TestPlatform, runStrategy = 'Halted'): Promise<void> {
  await platform.client.create(persistentVolumeClaims, claim)
  await platform.client.create(virtualMachines, machine(runStrategy))
  await platform.until(persistentVolumeClaims, 'default/data', (one) => one?.status?.phase === 'Bound')
}

/** What the host does. */
async function copied(platform: TestPlatform): Promise<StoredObject> {
  const [content] = await platform.untilAll(virtualMachineSnapshotContents, (all) => all.length === 1)
  const status = { creationTime: '2026-01-01T00:00:00Z', readyToUse: true }
  return platform.client.updateStatus(virtualMachineSnapshotContents, { ...content!, status })
}

async function filled(platform: TestPlatform, name: string): Promise<void> {
  await platform.until(persistentVolumeClaims, `default/${name}`, (one) => one?.status?.phase === 'Bound')
  const annotations = { [filledAnnotation]: 'true' }
  await platform.client.patch(persistentVolumeClaims, name, 'default', 'merge', { metadata: { annotations } })
}

test('a snapshot holds its machine still until it is taken, and goes with its content', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until, untilAll } = platform
  await withMachine(platform)
  await client.create(virtualMachineSnapshots, snapshot())
  const held = await until(virtualMachines, 'default/db', (one) => one?.status?.snapshotInProgress === 's')
  const start = client.patch(virtualMachines, held.metadata.name, 'default', 'merge', {
    spec: { runStrategy: 'Always' },
  })
  await assert.rejects(start, /Cannot update vm running state until snapshot "s" completes/)
  const content = await copied(platform)
  assert.deepEqual(
    content.spec.volumeBackups.map((one: any) => [one.volumeName, one.persistentVolumeClaim.metadata.name]),
    [['data', 'data']],
  )
  const taken = await until(virtualMachineSnapshots, 'default/s', (one) => one?.status?.phase === 'Succeeded')
  assert.deepEqual(taken.status!.snapshotVolumes, { includedVolumes: ['data'], excludedVolumes: ['root'] })
  assert.equal(taken.status!.indications, undefined)
  await until(virtualMachines, 'default/db', (one) => !one?.status?.snapshotInProgress)
  await client.delete(virtualMachineSnapshots, 's', 'default')
  await untilAll(virtualMachineSnapshotContents, (all) => all.length === 0)
  await until(virtualMachineSnapshots, 'default/s', (one) => one === undefined)
})

test('a snapshot that takes too long fails; one that is to be retained leaves its content', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until } = platform
  await withMachine(platform)
  await client.create(virtualMachineSnapshots, snapshot({ failureDeadline: '10ms' }))
  const failed = await until(virtualMachineSnapshots, 'default/s', (one) => one?.status?.phase === 'Failed')
  assert.match(JSON.stringify(failed.status!.conditions), /snapshot deadline exceeded/)
  await until(virtualMachines, 'default/db', (one) => !one?.status?.snapshotInProgress)
  await client.delete(virtualMachineSnapshots, 's', 'default')
  await until(virtualMachineSnapshots, 'default/s', (one) => one === undefined)
  const made = await client.create(virtualMachineSnapshots, snapshot({ deletionPolicy: 'Retain' }))
  assert.equal(timeLeft(made, Date.parse(made.metadata.creationTimestamp!)), 300_000)
  const { metadata: kept } = await copied(platform)
  await until(virtualMachineSnapshots, 'default/s', (one) => one?.status?.phase === 'Succeeded')
  await client.delete(virtualMachineSnapshots, 's', 'default')
  await until(virtualMachineSnapshots, 'default/s', (one) => one === undefined)
  assert.equal((await client.get(virtualMachineSnapshotContents, kept.name, 'default')).metadata.uid, kept.uid)
})

test('a restore makes claims, waits until they are filled, and gives them to its machine or to a new one', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until } = platform
  await withMachine(platform)
  await client.create(virtualMachineSnapshots, snapshot())
  await copied(platform)
  await until(virtualMachineSnapshots, 'default/s', (one) => one?.status?.phase === 'Succeeded')
  const { metadata: same } = await client.create(virtualMachineRestores, restore('back'))
  await until(virtualMachines, 'default/db', (one) => one?.status?.restoreInProgress === 'back')
  await filled(platform, `restore-${same.uid}-data`)
  await until(virtualMachineRestores, 'default/back', (one) => one?.status?.complete === true)
  const [, data] = (await client.get(virtualMachines, 'db', 'default')).spec.template.spec.volumes
  assert.equal(data.persistentVolumeClaim.claimName, `restore-${same.uid}-data`)
  const patches = ['{"op": "add", "path": "/spec/template/spec/hostname", "value": "second"}']
  const other = { target: reference('db2'), volumeRestorePolicy: 'PrefixTargetName', patches }
  await client.create(virtualMachineRestores, restore('copy', other))
  await filled(platform, 'db2-data')
  await until(virtualMachineRestores, 'default/copy', (one) => one?.status?.complete === true)
  const { spec } = await client.get(virtualMachines, 'db2', 'default')
  assert.equal(spec.runStrategy, 'Halted')
  assert.equal(spec.template.spec.hostname, 'second')
  const third = { target: reference('db2'), volumeRestorePolicy: 'InPlace' }
  await client.create(virtualMachineRestores, restore('wrong', third))
  await until(virtualMachineRestores, 'default/wrong', (one) =>
    /target already exists/.test(JSON.stringify(one?.status)),
  )
})

test('a restore of a machine that runs does what its policy says', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until } = platform
  await withMachine(platform, 'Always')
  await until(virtualMachineInstances, 'default/db', (one) => one !== undefined)
  await client.create(virtualMachineSnapshots, snapshot())
  await copied(platform)
  const taken = await until(virtualMachineSnapshots, 'default/s', (one) => one?.status?.phase === 'Succeeded')
  assert.deepEqual(taken.status!.indications, ['NoGuestAgent', 'Online'])
  await client.create(virtualMachineRestores, restore('now', { targetReadinessPolicy: 'FailImmediate' }))
  const failed = await until(virtualMachineRestores, 'default/now', (one) => (one?.status?.conditions?.length ?? 0) > 2)
  assert.match(JSON.stringify(failed.status!.conditions), /Restore target VMI must be powered off/)
  await client.create(virtualMachineRestores, restore('stops', { targetReadinessPolicy: 'StopTarget' }))
  await until(virtualMachines, 'default/db', (one) => one?.spec.runStrategy === 'Halted')
})
