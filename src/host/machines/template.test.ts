// Which machines may be copies of one template, and which snapshots may be one.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { notFound } from '../../api/errors.ts'
import type { StoredObject } from '../../api/meta.ts'
import type { Client } from '../../client/client.ts'
import { startFromAnnotation } from '../../kinds/kubevirt/template-start.ts'
import { hardwareOf } from './saved-states.ts'
import { anonymous, templateOf } from './template.ts'

const domain = (uuid: string, macAddress: string, guest = '64Mi') => ({
  memory: { guest },
  firmware: { uuid, serial: uuid },
  devices: { interfaces: [{ name: 'default', macAddress }] },
})

const instance = (spec: object): StoredObject =>
  ({
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: { name: 'a', namespace: 'default', uid: '1', annotations: { [startFromAnnotation]: 'golden' } },
    spec,
  }) as unknown as StoredObject

function rooms(options: { ready?: boolean; backups?: object[]; emulator?: string; paused?: boolean } = {}) {
  const hardware = hardwareOf({ domain: domain('u', '02:00:00:00:00:01') } as any)
  const objects: Record<string, object> = {
    virtualmachinesnapshots: {
      status: { readyToUse: options.ready ?? true, virtualMachineSnapshotContentName: 'content' },
    },
    virtualmachinesnapshotcontents: { metadata: { uid: 'c' }, spec: { volumeBackups: options.backups } },
  }
  return {
    client: { get: async ({ resource }: { resource: string }) => objects[resource] } as unknown as Client,
    emulator: { version: options.emulator ?? '7.2' },
    snapshots: {
      find: () => ({ memory: { hardware, emulator: '7.2', paused: options.paused ?? false } }),
      directory: () => '/snapshots/c',
    } as any,
  }
}

test('two machines of one template differ in who they are, and in nothing else', () => {
  const hardware = (...of: Parameters<typeof domain>) => anonymous(hardwareOf({ domain: domain(...of) } as any))
  assert.equal(hardware('u', '02:00:00:00:00:01'), hardware('v', '02:00:00:00:00:02'))
  const turned = Object.fromEntries(Object.entries(domain('u', '02:00:00:00:00:01')).reverse())
  assert.equal(anonymous(hardwareOf({ domain: turned } as any)), hardware('u', '02:00:00:00:00:01'))
  assert.notEqual(hardware('u', '02:00:00:00:00:01'), hardware('u', '02:00:00:00:00:01', '128Mi'))
})

test('a template is a whole snapshot with memory and without claims, of the same hardware and QEMU', async () => {
  const same = instance({ domain: domain('v', '02:00:00:00:00:02') })
  assert.equal((await templateOf(rooms(), same))?.content, 'c')
  const { annotations: _, ...metadata } = same.metadata
  assert.equal(await templateOf(rooms(), { ...same, metadata }), undefined)
  await assert.rejects(templateOf(rooms({ ready: false }), same), /not ready to use yet/)
  await assert.rejects(templateOf(rooms({ backups: [{}] }), same), /may have no claims/)
  await assert.rejects(templateOf(rooms({ emulator: '8' }), same), /taken by QEMU 7.2 and this is 8/)
  await assert.rejects(templateOf(rooms({ paused: true }), same), /while the machine was paused/)
  const bigger = instance({ domain: domain('v', '02:00:00:00:00:02', '128Mi') })
  await assert.rejects(templateOf(rooms(), bigger), /domain, networks and volumes must be those/)
  const client = { get: async () => Promise.reject(notFound('virtualmachinesnapshots', 'golden')) } as unknown as Client
  await assert.rejects(templateOf({ ...rooms(), client }, same), /"golden" not found/)
})
