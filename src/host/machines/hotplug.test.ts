// Which disks come and go, where they go, and what the status says of them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { qemuArgs } from './args.ts'
import {
  freePlace,
  isPlugDue,
  nothingPlugged,
  type PluggedDisk,
  plugDevice,
  plugStep,
  targetFor,
} from './hotplug-plan.ts'
import { plugStatus } from './hotplug-status.ts'
import { planOf } from './plan.fixture.ts'
import type { Disk, VmiSpec, Volume } from './vmi.ts'

const volume = (name: string): Volume => ({ name, persistentVolumeClaim: { claimName: name, hotpluggable: true } })
const root = {
  volume: { name: 'root', containerDisk: { image: 'i' } },
  disk: { name: 'root', disk: { bus: 'virtio' } },
}

function spec(disks: Disk[], more: Partial<VmiSpec['domain']> = {}): VmiSpec {
  return {
    domain: { ...more, devices: { ...more.devices, disks: [root.disk, ...disks] } },
    volumes: [root.volume, ...disks.map(({ name }) => volume(name))],
  }
}

const fast: Disk = { name: 'fast', disk: { bus: 'virtio' } }
const many: Disk = { name: 'many', disk: { bus: 'scsi' } }

const plugged = (disk: Disk, more: Partial<PluggedDisk> = {}): PluggedDisk => ({
  name: disk.name,
  id: 1,
  claim: disk.name,
  config: JSON.stringify([volume(disk.name), disk]),
  disk,
  target: 'vdb',
  capacityBytes: 1,
  readOnly: false,
  claimInfo: {},
  state: 'ready',
  ...more,
})

test('what the spec has and QEMU has not is plugged, and the other way round', () => {
  const step = plugStep(spec([fast]), { next: 2, disks: [plugged(many)] })
  assert.deepEqual([step.attach.map(({ claim }) => claim), step.detach.map(({ name }) => name)], [['fast'], ['many']])
  assert.equal(isPlugDue(spec([])), false)
  assert.equal(isPlugDue(spec([fast]), { next: 2, disks: [plugged(fast)] }), false)
})

test('one that is half in, or whose disk was changed, goes out first and comes in again', () => {
  for (const disk of [plugged(fast, { state: 'coming' }), plugged(fast, { config: 'another' })]) {
    const { attach, detach } = plugStep(spec([fast]), { next: 2, disks: [disk] })
    assert.deepEqual([attach.length, detach.length], [1, 1])
  }
})

test('the first free port; i440fx needs none; when all are taken, SCSI is left', () => {
  const taken = (count: number) => ({
    next: 9,
    scsiPort: 'hot0',
    disks: Array.from({ length: count }, (_, index) => plugged(fast, { port: `hot${index + 1}` })),
  })
  assert.equal(freePlace(spec([]), nothingPlugged), 'hot0')
  assert.equal(freePlace(spec([]), taken(1)), 'hot2')
  assert.equal(freePlace(spec([], { machine: { type: 'pc' } }), taken(1)), 'pci.0')
  assert.throws(() => freePlace(spec([]), taken(7)), /all 8 ports for devices are taken: use bus scsi/)
  assert.throws(() => freePlace(spec([], { devices: { disableHotplug: true } }), nothingPlugged), /disableHotplug/)
})

test('ports are there for who takes plugs', () => {
  const ports = (domain: object) =>
    qemuArgs(planOf({ domain: { memory: { guest: '64Mi' }, ...domain } })).filter((arg) =>
      /pcie-root-port,id=hot/.test(arg),
    )
  assert.equal(ports({}).length, 8)
  assert.equal(ports({ devices: { disableHotplug: true } }).length, 0)
  assert.equal(ports({ features: { acpi: { enabled: false } } }).length, 0)
})

test('targets are names that nothing else has', () => {
  assert.equal(targetFor(spec([fast]), nothingPlugged, fast), 'vdb')
  assert.equal(targetFor(spec([fast]), { next: 2, disks: [plugged(fast)] }, { ...fast, name: 'other' }), 'vdc')
  assert.equal(targetFor(spec([many]), nothingPlugged, many), 'sda')
})

test('device_add speaks the words of the command line', () => {
  const file = { format: 'raw', file: '/dev/fdset/1', readOnly: false, direct: true, ephemeral: false } as const
  assert.deepEqual(
    plugDevice(plugged({ ...fast, serial: 's' }, { port: 'hot3' }), { ...file, disk: { ...fast, serial: 's' } }),
    {
      driver: 'virtio-blk-pci',
      id: 'hot1-device',
      drive: 'hot1',
      bus: 'hot3',
      serial: 's',
      werror: 'stop',
      rerror: 'stop',
      'write-cache': 'on',
    },
  )
})

test('the status tells how far each one is', () => {
  const phases = (statuses: object[]) => statuses.map((one: any) => [one.name, one.phase, one.reason, one.target])
  const waits = new Map([['many', { reason: 'FailedMount', message: 'persistentvolumeclaim "many" not found' }]])
  assert.deepEqual(phases(plugStatus(spec([fast, many]), { next: 2, disks: [plugged(fast)] }, waits)), [
    ['fast', 'Ready', 'VolumeReady', 'vdb'],
    ['many', 'Pending', 'FailedPvcNotFound', ''],
  ])
  assert.deepEqual(phases(plugStatus(spec([]), { next: 2, disks: [plugged(fast, { state: 'leaving' })] })), [
    ['fast', 'Detaching', 'VolumeDetaching', 'vdb'],
  ])
  assert.deepEqual(phases(plugStatus(spec([fast]), nothingPlugged)), [['fast', 'Bound', 'PVCNotReady', '']])
})
