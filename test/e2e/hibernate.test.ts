// Suspend to disk with real QEMU: the guest's memory and devices come back in another process, whatever happens between.
// Needs root and qemu-system-x86; run it with
//   node --test --test-isolation=none test/e2e/hibernate.test.ts

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { StoredObject } from '../../src/api/meta.ts'
import { identify } from '../../src/host/machines/process.ts'
import { hibernateAnnotation, resumeAnnotation } from '../../src/kinds/kubevirt/hibernation.ts'
import { guestGreeting, guestKeys } from './machines-guest.ts'
import { type MachinesRoom, openRoom, readUntil } from './machines-room.ts'

const owner = '7d3f4d1e-0000-4000-8000-000000000001'
const running = (status: any) => status.phase === 'Running'
const over = (status: any) => ['Succeeded', 'Failed'].includes(status.phase)
const synchronized = (object: StoredObject) =>
  object.status?.conditions?.find((one: any) => one.type === 'Synchronized')?.message
const refOf = ({ metadata: { namespace, name, uid } }: StoredObject) => ({ namespace: namespace!, name, uid })

/** An instance of the same VirtualMachine as every other in the test. */
function instance(room: MachinesRoom, annotations: Record<string, string> = {}, domain = {}): StoredObject {
  const object = room.vmi('sleeper', { terminationGracePeriodSeconds: 1 }, domain)
  const { metadata } = object
  const ownerReferences = [
    { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachine', name: 'sleeper', uid: owner, controller: true },
  ]
  return { ...object, metadata: { ...metadata, annotations, ownerReferences } }
}

const resumed = (room: MachinesRoom, domain = {}) => instance(room, { [resumeAnnotation]: 'true' }, domain)

const deleted = (object: StoredObject, annotations = {}): StoredObject => ({
  ...object,
  metadata: { ...object.metadata, annotations, deletionTimestamp: '2026-01-01T00:01:00Z' },
})
const hibernating = (object: StoredObject) => deleted(object, { [hibernateAnnotation]: 'true' })

/** Runs, and has been told to ignore its power button: what only its registers know. */
async function bootStubborn(room: MachinesRoom): Promise<StoredObject> {
  const object = await room.until(instance(room), running)
  await room.greeted(object)
  await says(room, object, guestKeys.ignoreButton, guestKeys.ignoreButton)
  return object
}

async function says(room: MachinesRoom, object: StoredObject, key: string, text: string): Promise<void> {
  const console = await room.machines.machineConsole(refOf(object))
  await console.write(Buffer.from(key))
  await readUntil(console, text)
  console.end()
}

async function assertWentOn(room: MachinesRoom, object: StoredObject): Promise<void> {
  await says(room, object, 'x', 'x')
  assert.ok(!room.serialLog(object).includes(guestGreeting), 'it did not boot')
  const end = await room.until(deleted(object), over)
  assert.match(room.events.at(-1)!, /did not shut down in time/, 'it still ignores its button')
  assert.equal(end.status.phase, 'Succeeded')
}

function inRoom(what: string, body: (room: MachinesRoom) => Promise<void>): void {
  test(`hibernation: ${what}`, async () => {
    const room = await openRoom()
    try {
      await body(room)
    } finally {
      await room.close()
    }
  })
}

const remove = (room: MachinesRoom, object: StoredObject) => room.machines.remove(refOf(object))

inRoom('a guest goes on where it was, in another process, after a restart of Tandem', async (room) => {
  const first = await bootStubborn(room)
  const pid = room.pid(first)
  assert.equal((await room.until(hibernating(first), over)).status.phase, 'Succeeded')
  assert.equal(identify(pid), undefined)
  await remove(room, first)
  await room.reopen()
  assert.deepEqual(room.machines.disksInUse().length, 1, 'the image below its disk is still needed')
  const second = await room.until(resumed(room), running)
  await assertWentOn(room, second)
  assert.ok(!existsSync(join(room.paths.saved, owner)), 'what was saved is used up')
})

inRoom('a restart of Tandem while it is being saved loses nothing', async (room) => {
  const first = await bootStubborn(room)
  await room.machines.sync(hibernating(first))
  await room.reopen()
  assert.equal((await room.until(hibernating(first), over)).status.phase, 'Succeeded')
  await remove(room, first)
  await assertWentOn(room, await room.until(resumed(room), running))
})

inRoom('a restart of Tandem while it is being loaded loses nothing', async (room) => {
  const first = await bootStubborn(room)
  await room.until(hibernating(first), over)
  await remove(room, first)
  const second = resumed(room)
  await room.machines.sync(second)
  await new Promise((resolve) => setTimeout(resolve, 150))
  await room.reopen()
  await assertWentOn(room, await room.until(second, running))
})

inRoom('a machine that was changed meanwhile is not resumed, and says how to go on', async (room) => {
  const first = await bootStubborn(room)
  await room.until(hibernating(first), over)
  await remove(room, first)
  const changed = await room.until(resumed(room, { cpu: { model: 'qemu64' } }), (status) =>
    status.conditions?.some((one: any) => one.reason === 'ResumeFailed'),
  )
  assert.match(synchronized(changed)!, /spec.template was changed .* take the annotation tandem.dev\/hibernated off/)
  await remove(room, changed)
  const fresh = await room.until(instance(room), running)
  await room.greeted(fresh)
  assert.ok(!existsSync(join(room.paths.saved, owner)), 'given up with the annotation')
})

inRoom('a paused guest is paused again', async (room) => {
  const first = await bootStubborn(room)
  await room.machines.pause(refOf(first))
  await room.until(hibernating(first), over)
  await remove(room, first)
  const second = await room.until(resumed(room), (status) =>
    status.conditions?.some((one: any) => one.type === 'Paused' && one.status === 'True'),
  )
  await room.machines.unpause(refOf(second))
  await assertWentOn(room, second)
})
