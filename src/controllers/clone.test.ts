// Clones of machines through the API, with a host that only says that it copied.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clonePatches, filteredOut } from './clone-plan.ts'
import { startTestPlatform } from './platform.fixture.ts'
import {
  virtualMachineClones,
  virtualMachineRestores,
  virtualMachineSnapshotContents,
  virtualMachineSnapshots,
  virtualMachines,
} from './resources.ts'
import { object } from './sample.fixture.ts'

test('filters let through what one of them matches and no negation takes away', () => {
  const keys = ['a/one', 'a/two', 'b']
  assert.deepEqual(filteredOut(keys, undefined), [])
  assert.deepEqual(filteredOut(keys, ['*']), [])
  assert.deepEqual(filteredOut(keys, ['*', '!a/*']), ['a/one', 'a/two'])
  assert.deepEqual(filteredOut(keys, ['b']), ['a/one', 'a/two'])
  assert.deepEqual(filteredOut(keys, ['(']), keys)
})

test('a clone is another machine: MAC addresses, serial number and UUID are its own', () => {
  const source = {
    metadata: { labels: { app: 'db', tier: 'x' } },
    spec: {
      template: {
        metadata: { labels: { app: 'db' } },
        spec: {
          domain: {
            devices: { interfaces: [{ name: 'a', macAddress: '02:00:00:00:00:01' }, { name: 'b' }] },
            firmware: { uuid: 'u', serial: 's' },
          },
        },
      },
    },
  }
  const spec = {
    newMacAddresses: { b: '02:00:00:00:00:02' },
    labelFilters: ['app'],
    template: { labelFilters: ['!app', '*'] },
    patches: ['{"op":"add","path":"/spec/x","value":1}'],
  }
  const at = '/spec/template/spec/domain'
  assert.deepEqual(
    clonePatches(source, object('VirtualMachineClone', 'c', { spec })).map((patch) => {
      const { op, path, value } = JSON.parse(patch)
      return [op, path, value]
    }),
    [
      ['remove', `${at}/devices/interfaces/0/macAddress`, undefined],
      ['add', `${at}/devices/interfaces/1/macAddress`, '02:00:00:00:00:02'],
      ['remove', `${at}/firmware/serial`, undefined],
      ['remove', `${at}/firmware/uuid`, undefined],
      ['remove', '/metadata/labels/tier', undefined],
      ['remove', '/spec/template/metadata/labels/app', undefined],
      ['add', '/spec/x', 1],
    ],
  )
})

test('a machine is cloned by a snapshot and a restore that are gone at the end', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until, untilAll } = platform
  const metadata = { namespace: 'default' }
  const reference = (name: string) => ({ apiGroup: 'kubevirt.io', kind: 'VirtualMachine', name })
  const clone = (name: string, spec: object) =>
    client.create(virtualMachineClones, {
      apiVersion: 'clone.kubevirt.io/v1beta1',
      kind: 'VirtualMachineClone',
      metadata: { ...metadata, name },
      spec,
    })
  await clone('early', { source: reference('db') })
  await until(virtualMachineClones, 'default/early', (one) => /Source doesnt exist/.test(JSON.stringify(one?.status)))
  await client.create(virtualMachines, {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { ...metadata, name: 'db', labels: { app: 'db' } },
    spec: {
      runStrategy: 'Halted',
      template: {
        spec: {
          domain: { memory: { guest: '64Mi' }, devices: { disks: [{ name: 'root' }] } },
          volumes: [{ name: 'root', containerDisk: { image: 'a:1' } }],
        },
      },
    },
  })
  const [content] = await untilAll(virtualMachineSnapshotContents, (all) => all.length === 1)
  const status = { creationTime: '2026-01-01T00:00:00Z', readyToUse: true }
  await client.updateStatus(virtualMachineSnapshotContents, { ...content!, status })
  const done = await until(virtualMachineClones, 'default/early', (one) => one?.status?.phase === 'Succeeded')
  assert.match(done.status!.targetName, /^db-clone-[0-9a-f]{5}$/)
  const made = await client.get(virtualMachines, done.status!.targetName, 'default')
  const source = await client.get(virtualMachines, 'db', 'default')
  const { uuid, serial } = made.spec.template.spec.domain.firmware
  assert.ok(uuid && serial && uuid !== source.spec.template.spec.domain.firmware.uuid)
  assert.equal(made.metadata.labels?.app, 'db')
  await untilAll(virtualMachineSnapshots, (all) => all.length === 0)
  await untilAll(virtualMachineRestores, (all) => all.length === 0)
  await client.delete(virtualMachines, made.metadata.name, 'default')
  await until(virtualMachineClones, 'default/early', (one) => one === undefined)
})
