// Live migration between two QEMUs of one machine, with real QEMU: the guest goes on in another process, or in the one it
// was in, whatever happens between. Needs root and qemu-system-x86; run it with
//   node --test --test-isolation=none test/e2e/migration.test.ts

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../../src/api/meta.ts'
import { identify, processesBelow } from '../../src/host/machines/process.ts'
import { guestGreeting } from './machines-guest.ts'
import { type MachinesRoom, openRoom, readUntil } from './machines-room.ts'
import { until } from './tandem.fixture.ts'

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
  await room.greeted(object)
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
  await console.write(Buffer.from('x'))
  await readUntil(console, 'x')
  console.close()
  object = await room.until(asking(object), isOver)
  assert.equal(object.status.migrationState.failureReason, undefined)
  const pauses = room.events.flatMap((event) => Number(/paused for ([\d.]+) ms/.exec(event)?.[1] ?? []))
  // The better one of two, and a second: what else this machine does is no fault of the guest's.
  assert.ok(Math.min(...pauses) < 1_000, `paused for ${pauses.join(' and ')} ms`)
  await assertGoesOn(room, object)
})

/** So slow that it is under way until somebody ends it. */
const slow = { migrationConfiguration: { bandwidthPerMigration: '64Ki' } }
const underWay = (status: any) => status.migrationState?.startTimestamp !== undefined

const pidsOf = (room: MachinesRoom, object: StoredObject) =>
  (processesBelow(room.paths.machines).get(object.metadata.uid) ?? []).map(({ pid }) => pid)

async function moving(room: MachinesRoom, name: string): Promise<{ object: StoredObject; target: number }> {
  const object = await boot(room, name)
  const source = room.pid(object)
  const started = await room.until(asking(object, slow), underWay)
  return { object: started, target: pidsOf(room, object).find((pid) => pid !== source)! }
}

inRoom('one that is cancelled leaves the guest where it was', async (room) => {
  const { object } = await moving(room, 'canceller')
  const source = room.pid(object)
  object.status.migrationState.abortRequested = true
  const { status } = await room.until(object, isOver)
  const { failed, abortStatus, failureReason } = status.migrationState
  assert.deepEqual({ failed, abortStatus }, { failed: true, abortStatus: 'Succeeded' })
  assert.match(failureReason, /has been aborted/)
  assert.equal(room.pid(object), source)
  await assertGoesOn(room, object)
  const again = await room.until(asking(object), isOver)
  assert.equal(again.status.migrationState.failureReason, undefined, 'the next one succeeds')
  await assertGoesOn(room, again)
})

inRoom('the second QEMU is killed: the guest stays where it was', async (room) => {
  const { object, target } = await moving(room, 'survivor')
  process.kill(target, 'SIGKILL')
  const { status } = await room.until(object, isOver)
  assert.equal(status.migrationState.failed, true)
  await assertGoesOn(room, object)
})

inRoom('the first QEMU is killed: the machine has failed, and none is left', async (room) => {
  const { object } = await moving(room, 'victim')
  process.kill(room.pid(object), 'SIGKILL')
  const { status } = await room.until(object, (now) => now.phase === 'Failed' && isOver(now))
  assert.equal(status.migrationState.failed, true)
  await until('no QEMU is left', () => pidsOf(room, object).length === 0)
})

inRoom('Tandem ends meanwhile: the guest stays where it was, and the migration has failed', async (room) => {
  const { object } = await moving(room, 'left')
  await room.reopen()
  const { status } = await room.until(object, isOver)
  assert.match(status.migrationState.failureReason, /Tandem was restarted/)
  await assertGoesOn(room, object)
})

inRoom('a paused guest is paused afterwards', async (room) => {
  const object = await boot(room, 'sleeper')
  await room.machines.pause(refOf(object))
  const moved = await room.until(asking(object), isOver)
  assert.equal(moved.status.migrationState.failureReason, undefined)
  const isPaused = moved.status.conditions.some((one: any) => one.type === 'Paused' && one.status === 'True')
  assert.ok(isPaused)
  await room.machines.unpause(refOf(object))
  await assertGoesOn(room, moved)
})

inRoom('a guest that moved is stopped as every other', async (room) => {
  const object = await room.until(asking(await boot(room, 'stopper')), isOver)
  const deleted = { ...object, metadata: { ...object.metadata, deletionTimestamp: '2026-01-01T00:01:00Z' } }
  assert.equal((await room.until(deleted, ({ phase }) => phase === 'Succeeded')).status.phase, 'Succeeded')
  assert.match(room.events.at(-1)!, /shut down/)
  await until('no QEMU is left', () => pidsOf(room, object).length === 0)
})
