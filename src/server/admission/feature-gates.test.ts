// Gates of the KubeVirt object: what needs a closed one is refused.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { patchType, startServer } from '../server.fixture.ts'

const instances = '/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances'
const machines = '/apis/kubevirt.io/v1/namespaces/default/virtualmachines'
const kubevirts = '/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts'

const hostDevices = [{ name: 'card', deviceName: 'intel.com/qat' }]
const spec = (devices: object, volumes: object[] = []) => ({ domain: { memory: { guest: '1Gi' }, devices }, volumes })
const file = { name: 'file', hostDisk: { path: '/disk.img', type: 'Disk' } }

const object = (kind: string, of: object) => ({
  apiVersion: 'kubevirt.io/v1',
  kind,
  metadata: { name: 'x' },
  spec: of,
})
const machine = object('VirtualMachine', { runStrategy: 'Halted', template: { spec: spec({ hostDevices }, [file]) } })

test('files and devices of this machine need an open gate', async () => {
  const { call, ok } = await startServer()
  const refusal = async (url: string, body: object): Promise<string[]> => {
    const { status, object: answer } = await call('POST', url, body)
    assert.equal(status, 422)
    return (answer as any).details.causes.map(({ field, message }: any) => `${field}: ${message}`)
  }
  const disk = 'HostDisk feature gate is not enabled'
  const device = 'Host Devices feature gate is not enabled in kubevirt-config'
  assert.deepEqual(await refusal(instances, object('VirtualMachineInstance', spec({}, [file]))), [
    `spec.volumes[0]: Invalid value: "file": ${disk}`,
  ])
  const both = [
    `spec.template.spec.volumes[0]: Invalid value: "file": ${disk}`,
    `spec.template.spec.domain.devices.hostDevices: Invalid value: "card": ${device}`,
  ]
  assert.deepEqual(await refusal(machines, machine), both)
  await ok('POST', instances, object('VirtualMachineInstance', spec({ gpus: hostDevices })))

  await ok('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kubevirt' } })
  const gates = (...featureGates: string[]) => ({ configuration: { developerConfiguration: { featureGates } } })
  await ok('POST', kubevirts, { ...object('KubeVirt', gates('HostDisk')), metadata: { name: 'kubevirt' } })
  assert.deepEqual(await refusal(machines, machine), both.slice(1))
  const open = (...names: string[]) =>
    ok('PATCH', `${kubevirts}/kubevirt`, { spec: gates(...names) }, patchType('merge'))
  await open('HostDisk', 'HostDevices')
  await ok('POST', machines, machine)
  await open()
  await ok('PATCH', `${machines}/x`, { spec: { runStrategy: 'Manual' } }, patchType('merge'))
})
