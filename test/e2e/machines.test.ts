// The machine driver with real QEMU: start, console, stop, crash, take-over. Needs root and qemu-system-x86; run it with
//   node --test --test-isolation=none test/e2e/machines.test.ts

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { StoredObject } from '../../src/api/meta.ts'
import { run } from '../../src/host/exec.ts'
import { identify } from '../../src/host/machines/process.ts'
import { removeAllMachines } from '../../src/host/machines/teardown.ts'
import { firstMachineUser } from '../../src/host/machines/user.ts'
import { workloadContract } from '../../src/host/workload.contract.ts'
import { guestGreeting, guestKeys } from './machines-guest.ts'
import { type MachinesRoom, openRoom, readUntil } from './machines-room.ts'

const running = (status: any) => status.phase === 'Running'
const over = (status: any) => ['Succeeded', 'Failed'].includes(status.phase)
const refOf = (object: StoredObject) => ({
  namespace: object.metadata.namespace!,
  name: object.metadata.name,
  uid: object.metadata.uid,
})
const condition = (object: StoredObject, type: string) =>
  object.status?.conditions?.find((one: any) => one.type === type)
const deleted = (object: StoredObject): StoredObject => ({
  ...object,
  metadata: { ...object.metadata, deletionTimestamp: '2026-01-01T00:01:00Z' },
})

function inRoom(what: string, body: (room: MachinesRoom) => Promise<void>): void {
  test(`machines: ${what}`, async () => {
    const room = await openRoom()
    try {
      await body(room)
    } finally {
      await room.close()
    }
  })
}

const cgroupsOf = (instance: string): string[] =>
  ['memory', 'cpu', 'pids', '.'].filter((one) => existsSync(`/sys/fs/cgroup/${one}/tandem-${instance}`))

async function waitFor(what: () => boolean, timeoutMs = 120_000): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; !what(); ) {
    assert.ok(Date.now() < deadline, 'not in time')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Running, and the guest said so. */
async function boot(room: MachinesRoom, object: StoredObject): Promise<StoredObject> {
  const at = await room.until(object, running)
  await room.greeted(at)
  return at
}

async function press(room: MachinesRoom, object: StoredObject, key: string): Promise<void> {
  const console = await room.machines.machineConsole(refOf(object))
  await console.write(Buffer.from(key))
  console.close()
}

workloadContract('machines on QEMU', async () => {
  const room = await openRoom()
  return {
    driver: room.machines,
    object: room.vmi('contract'),
    async reopen() {
      await room.reopen()
      return room.machines
    },
    close: () => room.close(),
  }
})

inRoom('QEMU runs unprivileged, in a namespace of its own, with no way to the host', async (room) => {
  const object = await boot(room, room.vmi('locked-up'))
  const status = readFileSync(`/proc/${room.pid(object)}/status`, 'utf8')
  const own = new RegExp(`^Uid:\\t${firstMachineUser}\\t${firstMachineUser}`, 'm')
  for (const line of [own, /^CapBnd:\t0+$/m, /^NoNewPrivs:\t1/m, /^Seccomp:\t2/m]) assert.match(status, line)
  assert.notEqual(statSync(`/proc/${room.pid(object)}/ns/net`).ino, statSync('/proc/self/ns/net').ino)
  assert.equal(object.status.runtimeUser, firstMachineUser)
  const other = await boot(room, room.vmi('neighbour'))
  assert.equal(other.status.runtimeUser, firstMachineUser + 1, 'a user of its own')
  // As QEMU sees it, the state directory is empty: neither the neighbour's files nor Tandem's are there.
  const inside = await run(['nsenter', `--mount=/proc/${room.pid(object)}/ns/mnt`, 'ls', '-A', room.paths.root])
  assert.equal(inside.stdout, '')
})

inRoom('two clients share the console, and see only what comes after they came', async (room) => {
  const object = await boot(room, room.vmi('console'))
  // The log may have its greeting a moment before the console has: who is answered has heard what came before.
  const early = await room.machines.machineConsole(refOf(object))
  await early.write(Buffer.from('x'))
  await readUntil(early, 'x')
  early.close()
  const [one, two] = [
    await room.machines.machineConsole(refOf(object)),
    await room.machines.machineConsole(refOf(object)),
  ]
  await one.write(Buffer.from('hello'))
  assert.equal(await readUntil(one, 'hello'), 'hello')
  assert.equal(await readUntil(two, 'hello'), 'hello')
  await waitFor(() => room.serialLog(object).includes('hello'))
})

inRoom('VNC answers', async (room) => {
  const object = await boot(room, room.vmi('vnc'))
  assert.match(await readUntil(await room.machines.machineVnc(refOf(object)), 'RFB'), /^RFB 003\.008/)
})

inRoom('a guest that turns itself off has succeeded, and nothing of it runs', async (room) => {
  const object = await boot(room, room.vmi('poweroff'))
  const pid = room.pid(object)
  await press(room, object, guestKeys.powerOff)
  const end = await room.until(object, over)
  assert.equal(end.status.phase, 'Succeeded')
  await waitFor(() => !existsSync(`/proc/${pid}`))
  const disks = () =>
    readdirSync(join(room.paths.machines, object.metadata.uid)).filter((name) => name.endsWith('.qcow2'))
  await waitFor(() => disks().length === 0)
})

inRoom('a guest that reboots runs on in the same process', async (room) => {
  const object = await boot(room, room.vmi('reboot'))
  const pid = room.pid(object)
  await press(room, object, guestKeys.reset)
  await waitFor(() => room.serialLog(object).split(guestGreeting).length === 3)
  assert.equal((await room.until(object, running)).status.phase, 'Running')
  assert.equal(room.pid(object), pid)
  await room.machines.reset(refOf(object))
  await waitFor(() => room.serialLog(object).split(guestGreeting).length === 4)
})

inRoom('a soft reboot turns the guest off and on again in the same process', async (room) => {
  const object = await boot(room, room.vmi('soft-reboot'))
  await room.machines.softReboot(refOf(object))
  await waitFor(() => room.serialLog(object).split(guestGreeting).length === 3)
  assert.equal((await room.until(object, running)).status.phase, 'Running')
})

inRoom('teardown stops everything, guests first', async (room) => {
  const objects = [await boot(room, room.vmi('one')), await boot(room, room.vmi('two'))]
  assert.deepEqual(room.machines.disksInUse().length, 2)
  await room.machines.stop()
  assert.equal(await removeAllMachines({ paths: room.paths, instance: room.instance }), 2)
  for (const object of objects) assert.equal(identify(room.pid(object)), undefined)
  assert.equal(await removeAllMachines({ paths: room.paths, instance: room.instance }), 0)
  assert.deepEqual(cgroupsOf(room.instance), [])
})

inRoom('a guest that panics has failed', async (room) => {
  const object = await boot(room, room.vmi('panic'))
  await press(room, object, guestKeys.panic)
  const end = await room.until(object, over)
  assert.equal(end.status.phase, 'Failed')
  assert.equal(end.status.reason, 'GuestPanicked')
})

inRoom('a QEMU that is killed has failed', async (room) => {
  const object = await boot(room, room.vmi('crash'))
  process.kill(room.pid(object), 'SIGKILL')
  const end = await room.until(object, over)
  assert.equal(end.status.phase, 'Failed')
  assert.equal(end.status.reason, 'ProcessVanished')
  assert.ok(room.events.some((event) => event.startsWith('Warning Stopped')))
})

inRoom('pause and unpause', async (room) => {
  const object = await boot(room, room.vmi('pause'))
  await room.machines.pause(refOf(object))
  await assert.rejects(room.machines.pause(refOf(object)), /VMI is already paused/)
  const paused = await room.until(object, (status) => status.conditions.some((one: any) => one.type === 'Paused'))
  assert.equal(condition(paused, 'Paused').reason, 'PausedByUser')
  await room.machines.unpause(refOf(object))
  const again = await room.until(paused, (status) => !status.conditions.some((one: any) => one.type === 'Paused'))
  assert.equal(again.status.phase, 'Running')
  await assert.rejects(room.machines.unpause(refOf(object)), /VMI is not paused/)
})

inRoom('a machine that is to start paused waits', async (room) => {
  const object = await room.until(room.vmi('held', { startStrategy: 'Paused' }), running)
  assert.equal(condition(object, 'Paused')?.status, 'True')
  await room.machines.unpause(refOf(object))
  await boot(room, object)
})

inRoom('deletion presses the power button; the guest obeys', async (room) => {
  const object = await boot(room, room.vmi('graceful', { terminationGracePeriodSeconds: 100 }))
  const end = await room.until(deleted(object), over)
  assert.equal(end.status.phase, 'Succeeded')
  await waitFor(() => room.machines.stopped(object.metadata.uid))
  assert.ok(room.events.includes('Normal ShuttingDown Signaled Graceful Shutdown'))
  assert.ok(!room.events.some((event) => event.includes('did not shut down in time')), room.events.join(' | '))
})

inRoom('a paused guest is woken to be turned off', async (room) => {
  const object = await boot(room, room.vmi('sleeper'))
  await room.machines.pause(refOf(object))
  assert.equal((await room.until(deleted(object), over)).status.phase, 'Succeeded')
})

inRoom('a guest that ignores the button is stopped by force when its time is up', async (room) => {
  const object = await boot(room, room.vmi('stubborn', { terminationGracePeriodSeconds: 1 }))
  await press(room, object, guestKeys.ignoreButton)
  await waitFor(() => room.serialLog(object).endsWith(guestKeys.ignoreButton))
  const started = Date.now()
  await room.until(deleted(object), over)
  assert.ok(Date.now() - started >= 900)
  await waitFor(() => room.machines.stopped(object.metadata.uid))
})

inRoom('a new Tandem takes the same process over', async (room) => {
  const object = await boot(room, room.vmi('survivor'))
  const pid = room.pid(object)
  await room.reopen()
  const again = await room.until(object, running)
  assert.deepEqual(again.status, object.status)
  assert.equal(room.pid(object), pid)
  await press(room, again, 'x')
  await waitFor(() => room.serialLog(object).endsWith('x'))
})

inRoom('what happened while Tandem was away is seen afterwards', async (room) => {
  const [off, dead] = [await boot(room, room.vmi('off')), await boot(room, room.vmi('dead'))]
  const console = await room.machines.machineConsole(refOf(off))
  await room.machines.pause(refOf(off))
  await console.write(Buffer.from(guestKeys.powerOff))
  await room.machines.stop()
  process.kill(room.pid(dead), 'SIGKILL')
  await room.reopen()
  assert.equal(condition(await room.until(off, running), 'Paused')?.status, 'True')
  await room.machines.unpause(refOf(off))
  assert.equal((await room.until(dead, over)).status.phase, 'Failed')
  await press(room, off, guestKeys.powerOff).catch(() => {})
  assert.equal((await room.until(off, over)).status.phase, 'Succeeded')
})

inRoom('a half-started QEMU that nobody wrote down is cleaned up', async (room) => {
  const object = await boot(room, room.vmi('half'))
  const pid = room.pid(object)
  await room.machines.stop()
  const {
    process: _,
    started: __,
    ...begun
  } = JSON.parse(readFileSync(join(room.paths.machines, object.metadata.uid, 'machine.json'), 'utf8'))
  writeFileSync(join(room.paths.machines, object.metadata.uid, 'machine.json'), JSON.stringify(begun))
  await room.reopen()
  await waitFor(() => !existsSync(`/proc/${pid}/exe`))
  const fresh = await boot(room, { ...object, status: { phase: 'Scheduled' } })
  assert.notEqual(room.pid(fresh), pid)
})

inRoom('a recycled pid is nobody’s machine', async (room) => {
  const object = await boot(room, room.vmi('recycled'))
  await room.machines.stop()
  const pid = room.pid(object)
  process.kill(pid, 'SIGKILL')
  await waitFor(() => !existsSync(`/proc/${pid}/exe`))
  const path = join(room.paths.machines, object.metadata.uid, 'machine.json')
  const record = JSON.parse(readFileSync(path, 'utf8'))
  writeFileSync(path, JSON.stringify({ ...record, process: { ...record.process, pid: process.pid } }))
  await room.reopen()
  assert.equal((await room.until(object, over)).status.phase, 'Failed')
})

inRoom('disks of every kind, UEFI and all buses are accepted by QEMU', async (room) => {
  room.objects.set('secrets/default/data', { data: { key: Buffer.from('v').toString('base64') } })
  const disks = [
    { name: 'root', disk: { bus: 'virtio' }, bootOrder: 1, serial: 'a.b' },
    { name: 'empty', disk: { bus: 'scsi' } },
    { name: 'claim', disk: { bus: 'sata' }, cache: 'writeback', errorPolicy: 'report' },
    { name: 'seed', cdrom: { bus: 'sata' } },
    { name: 'keys', disk: { bus: 'usb' } },
  ]
  const volumes = [
    { name: 'root', containerDisk: { image: 'guest:1' } },
    { name: 'empty', emptyDisk: { capacity: '1Gi' } },
    { name: 'claim', persistentVolumeClaim: { claimName: 'data' } },
    { name: 'seed', cloudInitNoCloud: { userData: '#cloud-config\n' } },
    { name: 'keys', secret: { secretName: 'data' } },
  ]
  const object = await boot(
    room,
    room.vmi('every-disk', { volumes }, { devices: { disks, inputs: [{ name: 't', type: 'tablet', bus: 'usb' }] } }),
  )
  assert.deepEqual(
    object.status.volumeStatus.map((one: any) => one.target),
    ['vda', 'sda', 'sdb', 'sdc', 'sdd'],
  )
  const image = join(room.paths.root, 'claims/data/disk.img')
  assert.equal(statSync(image).size, 60 * 1024 * 1024)
  assert.equal(statSync(image).uid, firstMachineUser)
  for (const efi of [{ secureBoot: false }, {}]) {
    const uefi = room.vmi('uefi', {}, { firmware: { bootloader: { efi } }, features: { smm: { enabled: true } } })
    await room.until(uefi, running)
  }
  await boot(room, room.vmi('pc', {}, { machine: { type: 'pc' } })).then((pc) =>
    assert.equal(pc.status.machine.type, 'pc-i440fx-7.2'),
  )
})

inRoom('what is missing is named, and waited for', async (room) => {
  const volumes = [
    { name: 'root', containerDisk: { image: 'guest:1' } },
    { name: 'seed', cloudInitNoCloud: { secretRef: { name: 'later' } } },
  ]
  const object = await room.until(room.vmi('waiter', { volumes }), (status) =>
    status.conditions?.some((one: any) => one.type === 'Synchronized'),
  )
  assert.equal(condition(object, 'Synchronized').message, 'volume "seed": secret "later" not found')
  room.objects.set('secrets/default/later', { data: { userdata: Buffer.from('#!/bin/sh').toString('base64') } })
  const up = await room.until(object, running)
  assert.equal(condition(up, 'Synchronized'), undefined)
})

inRoom('what is not supported is refused by name', async (room) => {
  const object = await room.until(room.vmi('greedy', {}, { devices: { sound: { name: 'loud' } } }), (status) =>
    status.conditions?.some((one: any) => one.type === 'Synchronized'),
  )
  assert.match(
    condition(object, 'Synchronized').message,
    /spec\.domain\.devices\.sound: Forbidden: this field is not supported/,
  )
  assert.equal(object.status.phase, 'Pending')
  const end = await room.until(deleted(object), over)
  assert.equal(end.status.phase, 'Succeeded')
  assert.equal(room.machines.stopped(object.metadata.uid), true)
})
