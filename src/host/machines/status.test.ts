// The status that a machine's object gets.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../../api/meta.ts'
import { firmwareUuid } from './identity.ts'
import type { StartedMachine } from './record.ts'
import { type Observed, statusOf } from './status.ts'
import { diskTargets } from './vmi.ts'

const object = (spec: object = {}, status: object = {}): StoredObject => ({
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachineInstance',
  metadata: { name: 'db', namespace: 'default', uid: 'u', resourceVersion: '1', creationTimestamp: '' },
  spec: { domain: { devices: { interfaces: [{ name: 'default', masquerade: {} }] } }, ...spec },
  status,
})

const started: StartedMachine = {
  accelerator: 'tcg',
  acceleratorMessage: 'KVM hangs',
  machineType: 'pc-q35-7.2',
  memoryBytes: 1024 ** 3,
  topology: { sockets: 1, cores: 2, threads: 1 },
  network: { address: '10.42.128.5', mac: '02:00:00:00:00:01' },
  volumes: [{ name: 'root', target: 'vda' }],
  runtimeUser: 1070000,
  sharedDisks: [],
}

const at = Date.UTC(2026, 0, 1)
const types = (status: any) => status.conditions.map((one: any) => `${one.type}=${one.status}`)
const see = (observed: Observed, on = object(), now = at) => statusOf(on, observed, 'node-1', now)

test('running: address, conditions, memory', () => {
  const guest = { os: { id: 'debian' }, interfaces: [{ name: 'enp1s0', mac: '02:00:00:00:00:01', addresses: [] }] }
  const status = see({ phase: 'Running', started, agent: guest })
  assert.deepEqual(types(status), [
    'Ready=True',
    'LiveMigratable=True',
    'AgentConnected=True',
    'SoftwareEmulation=True',
  ])
  assert.deepEqual(status.interfaces, [
    {
      name: 'default',
      ipAddress: '10.42.128.5',
      ipAddresses: ['10.42.128.5'],
      mac: '02:00:00:00:00:01',
      infoSource: 'domain, guest-agent',
      interfaceName: 'enp1s0',
      podInterfaceName: 'eth0',
      queueCount: 1,
      linkState: 'up',
    },
  ])
  assert.deepEqual(status.memory, { guestAtBoot: '1Gi', guestCurrent: '1Gi', guestRequested: '1Gi' })
  assert.deepEqual(status.guestOSInfo, { id: 'debian' })
})

test('times of transitions stay until something turns', () => {
  const first = see({ phase: 'Running', started })
  const later = see({ phase: 'Running', started }, object({}, first), at + 60_000)
  assert.deepEqual(later, first)
  const ended = see({ phase: 'Succeeded', started }, object({}, first), at + 60_000)
  assert.equal(ended.conditions[0].lastTransitionTime, '2026-01-01T00:01:00Z')
  assert.deepEqual(
    ended.phaseTransitionTimestamps.map((one: any) => one.phase),
    ['Running', 'Succeeded'],
  )
  assert.equal(ended.interfaces, undefined)
})

test('not ready: waiting, probing, paused, stopping', () => {
  const waiting = see({ phase: 'Pending', problem: { reason: 'ErrImagePull', message: 'no such image' } })
  assert.deepEqual(types(waiting), ['Ready=False', 'Synchronized=False'])
  const probing = see({ phase: 'Running', started, unready: { reason: 'ReadinessProbeFailed', message: '' } })
  assert.equal(probing.conditions[0].reason, 'ReadinessProbeFailed')
  const paused = see({ phase: 'Running', started, paused: { reason: 'PausedByUser', message: '' } })
  assert.ok(types(paused).includes('Paused=True'))
  const stopping = object()
  stopping.metadata.deletionTimestamp = '2026-01-01T00:00:00Z'
  assert.equal(see({ phase: 'Running', started }, stopping).conditions[0].reason, 'PodTerminating')
})

test('disk targets count per kind of bus', () => {
  const disks = [{}, { disk: { bus: 'scsi' } }, { cdrom: {} }, { disk: { bus: 'virtio' } }].map((one, index) => ({
    name: `${index}`,
    ...one,
  }))
  assert.deepEqual([...diskTargets(disks).values()], ['sda', 'sdb', 'sdc', 'vda'])
})

test('the firmware UUID is the same for the same name, and valid', () => {
  assert.equal(firmwareUuid(object()), firmwareUuid(object()))
  assert.match(firmwareUuid(object()), /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  const given = '11111111-2222-3333-4444-555555555555'
  assert.equal(firmwareUuid(object({ domain: { firmware: { uuid: given } } })), given)
})
