// Live migration between two QEMUs of one machine, with real QEMU: the guest goes on in another process, or in the one it
// was in, whatever happens between. Needs root and qemu-system-x86; run it with
//   node --test --test-isolation=none test/e2e/migration.test.ts

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../../src/api/meta.ts'
import { identify, processesBelow } from '../../src/host/machines/process.ts'
import { guestGreeting, guestKeys } from './machines-guest.ts'
import { type MachinesRoom, openRoom, readUntil } from './machines-room.ts'

const running = (status: any) => status.phase === 'Running'
const refOf = ({ metadata: { namespace, name, uid } }: StoredObject) => ({ namespace: namespace!, name, uid })
const isOver = (status: any) => status.migrationState?.endTimestamp !== undefined

let count = 0

/** As the controller asks for it. */
const asking = (object: StoredObject, more = {}): StoredObject => ({
  ...object,
  status: { ...object.status, migrationState: { migrationUid: `migration-${++count}`, ...more } },
})

async function boot(room: MachinesRoom, name: string): Promise<StoredObject> {
  const object = await room.until(room.vmi(name, { terminationGracePeriodSeconds: 1 }), running)
  const console = await room.machines.machineConsole(refOf(object))
  await readUntil(console, guestGreeting)
  console.close()
  return object
}

/** It answers, and has not booted again. */
async function assertGoesOn(room: MachinesRoom, object: StoredObject): Promise<void> {
  const console = await room.machines.machineConsole(refOf(object))
  await console.write(Buffer.from('x'))
  await readUntil(console, 'x')
  console.close()
  assert.equal(room.serialLog(object).split(guestGreeting).length, 2, 'it booted once')
  assert.deepEqual(
    processesBelow(room.paths.machines)
      .get(object.metadata.uid)
      ?.map(({ pid }) => pid),
    [room.pid(object)],
    'one QEMU is left',
  )
}

function inRoom(what: string, body: (room: MachinesRoom) => Promise<void>): void {
  test(`migration: ${what}`, async () => {
    const room = await openRoom()
    try {
      await body(room)
    } finally {
      await room.close()
    }
  })
}

inRoom('a guest goes on in another process, twice, and its console with it', async (room) => {
  const first = await boot(room, 'mover')
  const console = await room.machines.machineConsole(refOf(first))
  const source = room.pid(first)
  let object = await room.until(asking(first), isOver)
  assert.equal(object.status.migrationState.failureReason, undefined)
  assert.equal(object.status.migrationState.completed, true)
  assert.notEqual(room.pid(object), source)
  assert.equal(identify(source), undefined)
  const pause = room.events.map((event) => /paused for ([\d.]+) ms/.exec(event)?.[1]).find(Boolean)
  assert.ok(Number(pause) < 200, `paused for ${pause} ms`)
  await console.write(Buffer.from('x'))
  await readUntil(console, 'x')
  console.close()
  object = await room.until(asking(object), isOver)
  assert.equal(object.status.migrationState.failureReason, undefined)
  await assertGoesOn(room, object)
  void guestKeys
})
