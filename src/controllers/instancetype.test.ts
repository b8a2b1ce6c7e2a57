// Machines that name an instance type: what is captured, and what their instance is made from.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { startTestPlatform } from './platform.fixture.ts'
import {
  controllerRevisions,
  dataSources,
  persistentVolumeClaims,
  virtualMachineInstances,
  virtualMachines,
} from './resources.ts'

const group = 'instancetype.kubevirt.io'
const clusterTypes = { group, version: 'v1beta1', resource: 'virtualmachineclusterinstancetypes' }
const preferences = { group, version: 'v1beta1', resource: 'virtualmachinepreferences' }

const type = (name: string, guest: number) => ({
  apiVersion: `${group}/v1beta1`,
  kind: 'VirtualMachineClusterInstancetype',
  metadata: { name },
  spec: { cpu: { guest }, memory: { guest: '64Mi' } },
})

const machine = (name: string, spec: object, volumes: object[] = []) => ({
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachine',
  metadata: { name, namespace: 'default' },
  spec: { runStrategy: 'Always', template: { spec: { domain: { devices: {} }, volumes } }, ...spec },
})

const typeRefOf = (object: StoredObject | undefined) => object?.status?.instancetypeRef

test('a machine keeps the type that it was made with, and a changed one comes with the next name', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until } = platform
  const made = await client.create(clusterTypes, type('small', 1))
  await client.create(clusterTypes, type('large', 4))
  await client.create(preferences, {
    apiVersion: `${group}/v1beta1`,
    kind: 'VirtualMachinePreference',
    metadata: { name: 'linux', namespace: 'default' },
    spec: { devices: { preferredDiskBus: 'virtio' } },
  })
  const volumes = [{ name: 'root', emptyDisk: { capacity: '1Gi' } }]
  const named = { instancetype: { name: 'small' }, preference: { name: 'linux', kind: 'VirtualMachinePreference' } }
  await client.create(virtualMachines, machine('db', named, volumes))

  const instance = await until(virtualMachineInstances, 'default/db', (object) => object !== undefined)
  assert.equal(instance.spec.domain.cpu.sockets, 1)
  assert.equal(instance.spec.domain.memory.guest, '64Mi')
  assert.deepEqual(instance.spec.domain.devices.disks, [{ name: 'root', disk: { bus: 'virtio' } }])
  const { annotations } = instance.metadata
  assert.equal(annotations!['kubevirt.io/cluster-instancetype-name'], 'small')
  assert.equal(annotations!['kubevirt.io/preference-name'], 'linux')

  const before = await until(virtualMachines, 'default/db', (object) => typeRefOf(object) !== undefined)
  const { controllerRevisionRef, ...ref } = typeRefOf(before)
  assert.deepEqual(ref, { name: 'small', kind: 'VirtualMachineClusterInstancetype' })
  assert.equal(controllerRevisionRef.name, `db-small-v1beta1-${made.metadata.uid}-1`)
  const revision = await client.get(controllerRevisions, controllerRevisionRef.name, 'default')
  assert.equal(revision.metadata.ownerReferences![0]!.name, 'db')
  assert.deepEqual(revision.data.spec, { cpu: { guest: 1 }, memory: { guest: '64Mi' } })

  // The type goes; the machine starts again from what it kept.
  await client.delete(clusterTypes, 'small')
  await client.delete(virtualMachineInstances, 'db', 'default')
  const { uid } = instance.metadata
  const again = await until(
    virtualMachineInstances,
    'default/db',
    (object) => object !== undefined && object.metadata.uid !== uid,
  )
  assert.equal(again.spec.domain.cpu.sockets, 1)

  await client.patch(virtualMachines, 'db', 'default', 'merge', { spec: { instancetype: { name: 'large' } } })
  const changed = await until(virtualMachines, 'default/db', (object) =>
    (object?.status?.conditions ?? []).some(({ type }: any) => type === 'RestartRequired'),
  )
  assert.equal(typeRefOf(changed).name, 'large')
})

test('what a volume is labelled with is inferred', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until } = platform
  await client.create(clusterTypes, type('small', 1))
  const label = `${group}/default-instancetype`
  await client.create(persistentVolumeClaims, {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'root', namespace: 'default', labels: { [label]: 'small' } },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  })
  const volumes = [{ name: 'disk', persistentVolumeClaim: { claimName: 'root' } }]
  const spec = {
    runStrategy: 'Halted',
    instancetype: { inferFromVolume: 'disk' },
    preference: { inferFromVolume: 'disk', inferFromVolumeFailurePolicy: 'Ignore' },
  }
  await client.create(virtualMachines, machine('db', spec, volumes))
  const inferred = await until(virtualMachines, 'default/db', (object) => typeRefOf(object) !== undefined)
  assert.deepEqual(inferred.spec.instancetype, { name: 'small', kind: 'VirtualMachineClusterInstancetype' })
  assert.equal(inferred.spec.preference, undefined)

  await client.create(virtualMachines, machine('none', { ...spec, preference: { inferFromVolume: 'disk' } }, volumes))
  const failed = await until(virtualMachines, 'default/none', (object) =>
    (object?.status?.conditions ?? []).some(({ type }: any) => type === 'Failure'),
  )
  const { message } = failed.status.conditions.find(({ type }: any) => type === 'Failure')
  assert.equal(message, 'unable to find required instancetype.kubevirt.io/default-preference label on the volume')
})

test('what a DataSource recommends is waited for without haste, and replaces a size that only stands in for it', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until, complaints } = platform
  await client.create(clusterTypes, type('small', 1))
  const spec = {
    runStrategy: 'Halted',
    instancetype: { inferFromVolume: 'disk', inferFromVolumeFailurePolicy: 'Ignore' },
    dataVolumeTemplates: [
      {
        metadata: { name: 'db-root' },
        spec: {
          sourceRef: { kind: 'DataSource', name: 'os' },
          storage: { resources: { requests: { storage: '1Gi' } } },
        },
      },
    ],
  }
  const made = machine('db', spec, [{ name: 'disk', dataVolume: { name: 'db-root' } }])
  Object.assign(made.spec.template.spec.domain, { memory: { guest: '512Mi' } })
  await client.create(virtualMachines, made)
  const waiting = await until(virtualMachines, 'default/db', (object) =>
    (object?.status?.conditions ?? []).some(({ type }: any) => type === 'Failure'),
  )
  const { message } = waiting.status.conditions.find(({ type }: any) => type === 'Failure')
  assert.equal(message, "failed to create DataVolume: The source DataSource os doesn't exist")
  await client.create(dataSources, {
    apiVersion: 'cdi.kubevirt.io/v1beta1',
    kind: 'DataSource',
    metadata: { name: 'os', namespace: 'default', labels: { [`${group}/default-instancetype`]: 'small' } },
    spec: { source: { pvc: { name: 'gold', namespace: 'default' } } },
  })
  const inferred = await until(virtualMachines, 'default/db', (object) => typeRefOf(object) !== undefined)
  assert.deepEqual(inferred.spec.instancetype, { name: 'small', kind: 'VirtualMachineClusterInstancetype' })
  assert.equal(inferred.spec.template.spec.domain.memory, undefined)
  assert.deepEqual(complaints, [])
})
