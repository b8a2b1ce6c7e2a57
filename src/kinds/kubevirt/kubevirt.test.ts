// Defaults and rules of virtual machines that a person meets.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiObject } from '../../api/meta.ts'
import { defaultInstance, identify } from './instance-defaults.ts'
import { validateInstance } from './instance-rules.ts'
import { kubevirt } from './kubevirt.ts'
import { virtualMachine } from './virtualmachine.ts'
import { virtualMachineInstance } from './virtualmachineinstance.ts'

const instance = (spec: object): ApiObject => ({
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachineInstance',
  metadata: { name: 'x' },
  spec,
})

const defaulted = (spec: object) => {
  const object = instance(spec)
  defaultInstance(object)
  return object.spec
}

const fields = (spec: object) => validateInstance(spec, 'spec').map(({ field }) => field)
const memory = { guest: '1Gi' }

test('a bare instance gets what KubeVirt gives it', () => {
  assert.deepEqual(defaulted({ domain: { memory }, volumes: [{ name: 'root', emptyDisk: { capacity: '1Gi' } }] }), {
    architecture: 'amd64',
    evictionStrategy: 'None',
    domain: {
      cpu: { cores: 1, sockets: 1, threads: 1, maxSockets: 4, model: 'host-model' },
      devices: {
        disks: [{ name: 'root', disk: { bus: 'sata' } }],
        interfaces: [{ name: 'default', bridge: {} }],
      },
      features: { acpi: { enabled: true } },
      machine: { type: 'q35' },
      memory: { ...memory, maxGuest: '4Gi' },
      resources: { requests: { memory: '1Gi' } },
    },
    networks: [{ name: 'default', pod: {} }],
    volumes: [{ name: 'root', emptyDisk: { capacity: '1Gi' } }],
  })
})

test('requests stand for guest memory and processors', () => {
  const { domain } = defaulted({ domain: { resources: { requests: { cpu: '1500m', memory: '2Gi' } } } })
  assert.equal(domain.memory.guest, '2Gi')
  assert.deepEqual(domain.cpu, { cores: 1, sockets: 2, threads: 1, maxSockets: 8, model: 'host-model' })
})

test('no interface where none is wanted', () => {
  const { networks, domain } = defaulted({ domain: { memory, devices: { autoattachPodInterface: false } } })
  assert.equal(networks, undefined)
  assert.equal(domain.devices.interfaces, undefined)
})

test("the machine's identity is made once", () => {
  const first: any = { domain: {} }
  identify(first)
  assert.match(first.domain.firmware.uuid, /^[0-9a-f-]{36}$/)
  const second: any = { domain: {} }
  identify(second, first)
  assert.deepEqual(second, first)
})

test('what is wrong is said by field', () => {
  const network = { networks: [{ name: 'n', pod: {} }] }
  const lab = { name: 'n', multus: { networkName: 'lab' } }
  const claimed = { name: 'f', persistentVolumeClaim: { claimName: 'c' } }
  const hostDisk = (type: string, capacity?: string) => ({ name: 'h', hostDisk: { path: '/disk.img', type, capacity } })
  const devices = 'spec.domain.devices'
  const cases: [spec: object, wrong: string[]][] = [
    [{ domain: { memory } }, []],
    [{ domain: {} }, ['spec.domain.memory.guest']],
    [{ domain: { memory: { guest: '1Mi' } } }, ['spec.domain.memory.guest']],
    [{ domain: { memory, resources: { limits: { memory: '512Mi' } } } }, ['spec.domain.memory.guest']],
    [{ domain: { memory, devices: { disks: [{ name: 'a', disk: {} }] } } }, ['spec.domain.devices.disks[0].name']],
    [{ domain: { memory }, volumes: [{ name: 'a' }] }, ['spec.volumes[0]']],
    [{ domain: { memory }, volumes: [{ name: 'a', containerDisk: {} }] }, ['spec.volumes[0].containerDisk.image']],
    [
      { domain: { memory }, volumes: [{ name: 'a', cloudInitNoCloud: { userData: 'x'.repeat(2049) } }] },
      ['spec.volumes[0].cloudInitNoCloud.userData'],
    ],
    [{ domain: { memory }, volumes: [{ name: 'a', cloudInitNoCloud: { userData: 'x'.repeat(2048) } }] }, []],
    [
      { domain: { memory, devices: { interfaces: [{ name: 'm', masquerade: {} }] } }, ...network },
      ['spec.domain.devices.interfaces[0].name', 'spec.networks[0].name'],
    ],
    [{ domain: { memory, devices: { interfaces: [{ name: 'n', masquerade: {} }] } }, ...network }, []],
    [
      { domain: { memory, devices: { interfaces: [{ name: 'n' }] } }, ...network },
      ['spec.domain.devices.interfaces[0]'],
    ],
    [{ domain: { memory, devices: { gpus: [{ name: 'g' }] } } }, ['spec.domain.devices.gpus[0].deviceName']],
    [{ domain: { memory, devices: { sound: { name: 's' } } } }, ['spec.domain.devices.sound']],
    [
      { domain: { memory, devices: { interfaces: [{ name: 'n', masquerade: {} }] } }, networks: [lab] },
      ['spec.domain.devices.interfaces[0].name'],
    ],
    [{ domain: { memory, devices: { interfaces: [{ name: 'n', bridge: {} }] } }, networks: [lab] }, []],
    [
      { domain: { memory, devices: { interfaces: [{ name: 'n', bridge: {}, state: 'absent' }] } }, networks: [lab] },
      [],
    ],
    [
      { domain: { memory, devices: { interfaces: [{ name: 'n', bridge: {}, state: 'absent' }] } }, ...network },
      ['spec.domain.devices.interfaces[0].state'],
    ],
    [
      { domain: { memory, devices: { interfaces: [{ name: 'n', masquerade: {}, state: 'off' }] } }, ...network },
      ['spec.domain.devices.interfaces[0].state'],
    ],
    [
      { domain: { memory, firmware: { kernelBoot: { container: { image: 'i' } } } } },
      ['spec.domain.firmware.kernelBoot.container'],
    ],
    [
      { domain: { memory, firmware: { kernelBoot: { container: { image: 'i', kernelPath: '/a/../b' } } } } },
      ['spec.domain.firmware.kernelBoot.container.kernelPath'],
    ],
    [
      { domain: { memory, devices: { filesystems: [{ name: 'f', virtiofs: {} }] } } },
      [`${devices}.filesystems[0].name`],
    ],
    [{ domain: { memory, devices: { filesystems: [{ name: 'f', virtiofs: {} }] } }, volumes: [claimed] }, []],
    [{ domain: { memory, cpu: { isolateEmulatorThread: true } } }, ['spec.domain.cpu.isolateEmulatorThread']],
    [
      { domain: { memory, cpu: { dedicatedCpuPlacement: true, numa: { guestMappingPassthrough: {} } } } },
      ['spec.domain.cpu.numa.guestMappingPassthrough'],
    ],
    [
      { domain: { memory: { guest: '65Mi', hugepages: { pageSize: '2Mi' } } } },
      ['spec.domain.resources.requests.memory'],
    ],
    [{ domain: { memory, ioThreadsPolicy: 'none' } }, ['spec.domain.ioThreadsPolicy']],
    [{ domain: { memory }, volumes: [hostDisk('Disk', '1Gi')] }, ['spec.volumes[0].hostDisk.capacity']],
    [{ domain: { memory }, volumes: [hostDisk('File')] }, ['spec.volumes[0].hostDisk.type']],
    [{ domain: { memory }, readinessProbe: { initialDelaySeconds: 1 } }, ['spec.readinessProbe']],
    [{ domain: { memory }, readinessProbe: { exec: { command: ['true'] } } }, []],
    [{ domain: { memory, devices: { gpus: [] }, cpu: { dedicatedCpuPlacement: false } } }, []],
    [{ domain: { memory, machine: { type: 'microvm' } } }, ['spec.domain.machine.type']],
    [{ domain: { memory, firmware: { bootloader: { efi: {} } } } }, ['spec.domain.firmware.bootloader.efi.secureBoot']],
    [{ domain: { memory, firmware: { bootloader: { efi: { secureBoot: false } } } } }, []],
    // A feature that is named is on: so have it upstream's preferences.
    [{ domain: { memory, features: { smm: {} }, firmware: { bootloader: { efi: { secureBoot: true } } } } }, []],
    [
      { domain: { memory, features: { smm: { enabled: false } }, firmware: { bootloader: { efi: {} } } } },
      ['spec.domain.firmware.bootloader.efi.secureBoot'],
    ],
  ]
  for (const [spec, wrong] of cases) assert.deepEqual(fields(spec), wrong, JSON.stringify(spec))
})

test('a machine is told to run in one way', () => {
  const template = { spec: { domain: { memory } } }
  const wrong = (spec: object) =>
    virtualMachine.validate!({ ...virtualMachine.example, spec: { template, ...spec } }).map(({ field }) => field)
  assert.deepEqual(wrong({ runStrategy: 'Always' }), [])
  assert.deepEqual(wrong({ running: false }), [])
  assert.deepEqual(wrong({}), ['spec.runStrategy'])
  assert.deepEqual(wrong({ running: true, runStrategy: 'Always' }), ['spec.running'])
  assert.deepEqual(wrong({ running: true, updateVolumesStrategy: 'Migration' }), ['spec.updateVolumesStrategy'])
  assert.deepEqual(wrong({ running: true, updateVolumesStrategy: 'Replacement' }), [])
  const hooked = { metadata: { annotations: { 'hooks.kubevirt.io/hookSidecars': '[{}]' } }, ...template }
  assert.deepEqual(wrong({ running: false, template: hooked }), ['spec.template.metadata.annotations'])
  // Presets may bring the memory.
  assert.deepEqual(wrong({ running: false, template: { spec: { domain: {} } } }), [])
})

test("an instance's spec stays as it is", () => {
  const old = structuredClone(virtualMachineInstance.example)
  const changed = structuredClone(old)
  changed.spec.domain.memory.guest = '1Gi'
  assert.deepEqual(virtualMachineInstance.validate!(structuredClone(old), old), [])
  assert.deepEqual(
    virtualMachineInstance.validate!(changed, old).map(({ field }) => field),
    ['spec'],
  )
})

test('of the configuration what has no effect is named, and only that', () => {
  const object = (developerConfiguration: object, more: object = {}): ApiObject => ({
    ...kubevirt.example,
    spec: { configuration: { developerConfiguration, ...more } },
  })
  const at = 'spec.configuration.developerConfiguration'
  const named = (now: ApiObject, old?: ApiObject) =>
    kubevirt.warnings!(now, old as any).map((warning) => warning.split(' has no effect: ')[0])
  const gates = object({ featureGates: ['HostDisk', 'Snapshot'] })
  assert.deepEqual(named(gates), [`${at}.featureGates[1] (Snapshot)`])
  assert.deepEqual(named(object({ featureGates: ['HostDisk', 'HostDevices'] })), [])
  assert.deepEqual(named(object({ featureGates: ['HostDisk'], logVerbosity: { virtAPI: 5 } })), [`${at}.logVerbosity`])
  const later = object(
    { featureGates: ['HostDevices', 'Snapshot'], cpuAllocationRatio: 10 },
    { permittedHostDevices: {} },
  )
  assert.deepEqual(named(later, gates), [`${at}.cpuAllocationRatio`])
  assert.deepEqual(
    named(object({}, { permittedHostDevices: { pciHostDevices: [], usb: [{}] }, imagePullPolicy: 'Always' })),
    ['spec.configuration.imagePullPolicy', 'spec.configuration.permittedHostDevices'],
  )
})
