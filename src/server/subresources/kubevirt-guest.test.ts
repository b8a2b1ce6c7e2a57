// What a guest says about itself, honest and not.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guestFilesystems, guestInfo, guestUsers } from './kubevirt-guest.ts'

test('an honest guest is shown as KubeVirt shows it', () => {
  const shown = guestInfo({
    info: { version: '7.2.22', supported_commands: [{ name: 'guest-ping', enabled: true, 'success-response': true }] },
    os: { id: 'debian', name: 'Debian GNU/Linux', 'kernel-release': '6.1.0', 'pretty-name': 'Debian 12' },
    hostname: { 'host-name': 'db' },
    timezone: { zone: 'UTC', offset: 0 },
    users: [{ user: 'root', 'login-time': 1.5 }],
    filesystems: [
      {
        name: 'vda1',
        mountpoint: '/',
        type: 'ext4',
        'used-bytes': 10,
        'total-bytes': 20,
        disk: [{ 'bus-type': 'virtio', serial: 's', bus: 0 }],
      },
    ],
  })
  assert.deepEqual(shown, {
    kind: 'VirtualMachineInstanceGuestAgentInfo',
    apiVersion: 'kubevirt.io/v1',
    guestAgentVersion: '7.2.22',
    supportedCommands: [{ name: 'guest-ping', enabled: true }],
    hostname: 'db',
    os: { id: 'debian', name: 'Debian GNU/Linux', kernelRelease: '6.1.0', prettyName: 'Debian 12' },
    timezone: 'UTC, 0',
    userList: [{ userName: 'root', loginTime: 1.5 }],
    fsInfo: {
      disks: [
        {
          diskName: 'vda1',
          mountPoint: '/',
          fileSystemType: 'ext4',
          usedBytes: 10,
          totalBytes: 20,
          disk: [{ serial: 's', busType: 'virtio' }],
        },
      ],
    },
  })
})

test('a guest that lies about types and sizes changes only what is shown of it', () => {
  assert.deepEqual(guestUsers('many'), [])
  assert.deepEqual(guestUsers([null, 7, { user: { toString: 'x' } }]), [{ userName: '' }])
  const [system] = guestFilesystems([
    { name: 'a'.repeat(10_000), 'used-bytes': -5, 'total-bytes': '7', disk: 3 },
  ]) as any[]
  assert.equal(system.diskName.length, 4096)
  assert.deepEqual([system.usedBytes, system.totalBytes, system.disk], [0, 0, undefined])
  assert.equal(guestUsers(Array.from({ length: 5_000 }, () => ({ user: 'x' }))).length, 1_000)
  const overview = guestInfo({ users: Array.from({ length: 50 }, () => ({ user: 'x' })), isFrozen: true }) as any
  assert.equal(overview.userList.length, 10)
  assert.equal(overview.fsFreezeStatus, 'frozen')
})
