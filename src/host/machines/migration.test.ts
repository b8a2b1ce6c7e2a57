// What moves a guest from one QEMU to another, as far as it is data: names, settings, conditions, status.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../../api/meta.ts'
import { migratableCondition, migrationStatus } from './migratable.ts'
import { withHardwareOf } from './migrate-argv.ts'
import { waitingArgs } from './migrate-names.ts'
import { transferSettings } from './migrations.ts'
import type { StartedMachine } from './record.ts'

test('the second QEMU listens elsewhere, at another tap, and waits', () => {
  const args = [
    '-chardev',
    'socket,id=qmp,path=qmp.sock,server=on,wait=off',
    '-chardev',
    'socket,id=serial0,path=console.sock,server=on,wait=off,logfile=serial.log,logappend=on',
    '-chardev',
    'socket,id=other,path=tpm.sock',
    '-vnc',
    'unix:vnc.sock',
    '-netdev',
    'tap,id=net0,ifname=tap0,script=no,downscript=no',
  ]
  const waiting = waitingArgs(args, true)
  assert.deepEqual(
    waiting.filter((_, index) => index % 2),
    [
      'socket,id=qmp,path=qmp.sock.next,server=on,wait=off',
      'socket,id=serial0,path=console.sock.next,server=on,wait=off,logfile=serial.log,logappend=on',
      'socket,id=other,path=tpm.sock',
      'unix:vnc.sock.next',
      'tap,id=net0,ifname=tap0b,script=no,downscript=no',
    ],
  )
  assert.equal(waiting.at(-1), '-S')
  assert.ok(waitingArgs(args, false).includes('tap,id=net0,ifname=tap0,script=no,downscript=no'))
})

test('the guest keeps its hardware where a newer Tandem would give it other', () => {
  const source = ['-nodefaults', '-machine', 'q35,smm=off', '-device', 'disk,id=a', '-blockdev', 'old', '-S']
  const none = (): number => assert.fail('no file is needed')
  const same = ['-nodefaults', '-machine', 'pc-q35-7.2,smm=off', '-device', 'disk,id=a', '-blockdev', 'new']
  assert.equal(withHardwareOf(source, same, 'pc-q35-7.2', none), same)
  const more = [
    '-nodefaults',
    '-machine',
    'pc-q35-7.2,smm=off',
    '-device',
    'disk,id=a',
    '-device',
    'port',
    '-blockdev',
    'new',
  ]
  assert.deepEqual(withHardwareOf(source, more, 'pc-q35-7.2', none), [
    '-nodefaults',
    '-blockdev',
    'new',
    '-machine',
    'pc-q35-7.2,smm=off',
    '-device',
    'disk,id=a',
  ])
  const backed = [...source, '-object', 'memory-backend-file,id=ram,mem-path=/proc/self/fd/3,share=off']
  const merged = withHardwareOf(backed, more, 'pc-q35-7.2', (file) => file + 4)
  assert.equal(merged.at(-1), 'memory-backend-file,id=ram,mem-path=/proc/self/fd/7,share=off')
})

test('settings: KubeVirt’s defaults, and what a policy changes', () => {
  assert.deepEqual(transferSettings(undefined, 2 ** 29), {
    bandwidth: 0,
    autoConverge: false,
    downtimeMs: 50,
    completionTimeoutMs: 150_000,
    progressTimeoutMs: 150_000,
    mayPause: false,
  })
  const policy = {
    bandwidthPerMigration: '64Mi',
    allowAutoConverge: true,
    completionTimeoutPerGiB: 2,
    maxDowntimeMs: 300,
    allowWorkloadDisruption: true,
  }
  assert.deepEqual(transferSettings(policy, 2 ** 31), {
    bandwidth: 64 * 2 ** 20,
    autoConverge: true,
    downtimeMs: 300,
    completionTimeoutMs: 4_000,
    progressTimeoutMs: 150_000,
    mayPause: true,
  })
})

const started = { volumes: [], sharedDisks: [] } as unknown as StartedMachine
const object = (devices: object, domain = {}) =>
  ({
    metadata: { name: 'vm', namespace: 'default' },
    spec: { domain: { devices, ...domain } },
  }) as unknown as StoredObject

test('what stands in the way of a migration', () => {
  const reason = (devices: object, more: Partial<StartedMachine> = {}) =>
    (migratableCondition(object(devices), { ...started, ...more }) as any).reason
  assert.deepEqual(migratableCondition(object({}), started), { type: 'LiveMigratable', status: 'True' })
  assert.equal(reason({ interfaces: [{ name: 'default', bridge: {} }] }), undefined)
  assert.equal(reason({ filesystems: [{ name: 'shared', virtiofs: {} }] }), 'VirtIOFSNotLiveMigratable')
  assert.equal(reason({ hostDevices: [{ name: 'card' }] }), 'HostDeviceNotLiveMigratable')
  const secondaries = [{ name: 'red', mac: '', podInterface: '', addresses: [] }]
  assert.equal(reason({}, { secondaries }), 'InterfaceNotLiveMigratable')
})

test('the status keeps what was asked for, and tells what became of it', () => {
  const migration = {
    uid: 'a',
    told: { completed: true },
    abort: new AbortController(),
    done: Promise.resolve(),
    isOver: true,
  }
  assert.deepEqual(migrationStatus({}, migration), {})
  const asked = { migrationUid: 'a', sourceNode: 'n' }
  assert.deepEqual(migrationStatus({ migrationState: asked }, undefined), { migrationState: asked })
  assert.deepEqual(migrationStatus({ migrationState: asked }, migration), {
    migrationState: { ...asked, completed: true },
  })
  const other = { migrationUid: 'b' }
  assert.deepEqual(migrationStatus({ migrationState: other }, migration), { migrationState: other })
})
