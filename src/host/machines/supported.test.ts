// Fields that cannot be honoured are named; everything a usual cloud image's manifest has is taken.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { unsupported } from './supported.ts'
import type { VmiSpec } from './vmi.ts'

const usual = {
  architecture: 'amd64',
  evictionStrategy: 'None',
  nodeSelector: { disk: 'ssd' },
  terminationGracePeriodSeconds: 180,
  domain: {
    machine: { type: 'q35' },
    cpu: { cores: 1, sockets: 2, threads: 1, model: 'host-model', maxSockets: 4 },
    memory: { guest: '1Gi', maxGuest: '4Gi' },
    resources: { requests: { memory: '1Gi' } },
    features: { acpi: {}, smm: { enabled: true } },
    firmware: { uuid: '0f344a87-7dc3-5d4e-992f-6a7445faca93' },
    devices: {
      disks: [{ name: 'root', disk: { bus: 'virtio' } }],
      interfaces: [{ name: 'default', masquerade: {}, model: 'virtio', ports: [{ port: 80 }] }],
      rng: {},
    },
  },
  networks: [{ name: 'default', pod: {} }],
  volumes: [
    { name: 'root', containerDisk: { image: 'a:1' } },
    { name: 'seed', cloudInitNoCloud: { userDataBase64: '' } },
  ],
}

const withDevices = (devices: object) => ({ domain: { devices } }) as unknown as VmiSpec

test('a usual manifest is supported', () => {
  assert.deepEqual(unsupported(usual as unknown as VmiSpec), [])
})

test('each field that does nothing here is refused by its name', () => {
  const cases: [object, RegExp][] = [
    [withDevices({ gpus: [{ name: 'g' }] }), /^spec\.domain\.devices\.gpus: not supported/],
    [withDevices({ tpm: {} }), /devices\.tpm/],
    [withDevices({ disks: [{ name: 'l', lun: { bus: 'scsi' } }] }), /disks\[l\]\.lun/],
    [
      withDevices({ disks: [{ name: 'd', disk: { bus: 'ide' } }] }),
      /disks\[d\]\.bus: "ide" is not supported; it must be one of virtio/,
    ],
    [withDevices({ disks: [{ name: 'd', cdrom: { bus: 'virtio' } }] }), /cannot be a virtio device/],
    [withDevices({ disks: [{ name: 'd', cache: 'unsafe' }] }), /cache: "unsafe"/],
    [withDevices({ interfaces: [{ name: 'i', sriov: {} }] }), /interfaces\[i\]\.sriov/],
    [withDevices({ interfaces: [{ name: 'a' }, { name: 'b' }] }), /only one interface/],
    [withDevices({ autoattachVSOCK: true }), /autoattachVSOCK/],
    [{ domain: { cpu: { dedicatedCpuPlacement: true } } }, /domain\.cpu\.dedicatedCpuPlacement/],
    [{ domain: { memory: { hugepages: { pageSize: '2Mi' } } } }, /domain\.memory\.hugepages/],
    [{ domain: { machine: { type: 'virt' } } }, /machine\.type: "virt"/],
    [{ domain: { firmware: { kernelBoot: {} } } }, /firmware\.kernelBoot/],
    [{ domain: { firmware: { bootloader: { efi: { persistent: true } } } } }, /efi\.persistent/],
    [{ domain: {}, networks: [{ name: 'n', multus: {} }] }, /networks\[n\]\.multus/],
    [{ domain: {}, volumes: [{ name: 'v', hostDisk: {} }] }, /volumes\[v\]\.hostDisk/],
    [{ domain: {}, constructor: { a: 1 } }, /spec\.constructor/],
    [{ domain: {}, architecture: 'arm64' }, /spec\.architecture: "arm64"/],
  ]
  for (const [spec, expected] of cases) assert.match(unsupported(spec as VmiSpec)[0] ?? '', expected)
})

test('a field that is switched off needs no support', () => {
  const off = { domain: { cpu: { dedicatedCpuPlacement: false }, devices: { gpus: [], autoattachVSOCK: false } } }
  assert.deepEqual(unsupported(off as VmiSpec), [])
})
