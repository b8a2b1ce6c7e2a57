// A guest moves to a second QEMU of the same machine: today's binary and argv, the same files, the same user and cgroup. Up
// to the commit the source is the machine, whatever happens; from the commit on the target is: the record says which, and
// it is written before the target may run. A kill -9 at any moment leaves exactly one that goes on (recoverMove).

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { StoredObject } from '../../api/meta.ts'
import { qemuArgs } from './args.ts'
import { keepConnecting, type Machine, type Observer, pausedBy, takeUp } from './machine.ts'
import { argsOf, filesOf, withHardwareOf } from './migrate-argv.ts'
import { dropNames, takeNames, waitingArgs, waitingName } from './migrate-names.ts'
import {
  beginTransfer,
  endTransfer,
  eventMs,
  forgetCapabilities,
  hearStatus,
  openTarget,
  type TransferSettings,
  transferred,
} from './migrate-qemu.ts'
import { makeWay, pin, takenCpus } from './placement.ts'
import { machineFiles } from './plan.ts'
import { isAlive, killAndWait, type ProcessIdentity } from './process.ts'
import { openQmp, type Qmp, QmpError, type QmpEvent } from './qmp.ts'
import { type MachineRecord, type StartedMachine, writeRecord } from './record.ts'
import { withSocketPath } from './socket-path.ts'
import { launchMachine, limit, type PreparedMachine, prepareMachine, type StartRooms } from './start.ts'
import { specOf } from './vmi.ts'

export interface MoveOrder {
  /** Of the VirtualMachineInstanceMigration. */
  uid: string
  settings: TransferSettings
  signal: AbortSignal
  now(): number
  /** The target waits for the guest. */
  onReady(): void
  /** The first byte is on its way. */
  onBegin(): void
}

/** How long QEMU may take from its start until it answers on QMP, and to do what it is told. */
const answerTimeoutMs = 20_000

/** The QEMU that waits for the guest. */
interface Second {
  identity: ProcessIdentity
  started: StartedMachine
  qmp: Qmp
  /** Its migration's statuses, as events of that name. */
  says: EventTarget
  /** When its guest began to run, in ms since 1970. */
  ran?: number
}

function note(machine: Machine, { moving: _, ...record }: MachineRecord, moving?: MachineRecord['moving']): void {
  machine.record = { ...record, ...(moving && { moving }) }
  writeRecord(machine.directory, machine.record)
}

/**
 * @returns for how long the guest did not run, in ms
 * @throws Error why not; the guest goes on in the QEMU that it was in
 */
export async function move(
  rooms: StartRooms,
  machine: Machine,
  object: StoredObject,
  observer: Observer,
  order: MoveOrder,
): Promise<{ pauseMs: number | undefined }> {
  const { qmp: source, record } = machine
  if (!source || source.closed || !record.process || !record.started) throw new Error('QEMU does not answer')
  requireRoom(record.started.memoryBytes)
  const former = record.process
  const twin = !record.twin
  const paused = pausedBy(machine) !== undefined
  note(machine, record, { uid: order.uid, paused })
  let second: Second | undefined
  let sending = false
  let consoles: { follow(): void; stay(): void } | undefined
  let stoppedAt: number | undefined
  const sourceSays = new EventTarget()
  machine.eavesdrop = (event) => {
    if (event.event === 'STOP') stoppedAt = eventMs(event)
    hearStatus(sourceSays, event)
  }
  try {
    second = await startSecond(rooms, machine, object, twin, order.signal)
    await openTarget(second.qmp, paused)
    const console = await machine.console?.catch(() => undefined)
    consoles = await console?.alsoAt(join(machine.directory, waitingName(machineFiles.console)))
    order.onReady()
    const started = order.now()
    await beginTransfer(source, order.settings)
    sending = true
    order.onBegin()
    const { pausedByUs } = await transferred(
      source,
      { source: sourceSays, target: second.says },
      order.settings,
      order.signal,
    )
    const goesOn = !paused || pausedByUs
    await commit(machine, second, twin, goesOn, { uid: order.uid, started, ended: order.now() })
  } catch (error) {
    consoles?.stay()
    if (sending && !source.closed) await endTransfer(source).catch(() => {})
    await revert(rooms, machine, source, second, former, paused)
    throw error
  } finally {
    machine.eavesdrop = undefined
  }
  consoles?.follow()
  const { ran } = second
  await settle(rooms, machine, object, observer, second, former)
  return { pauseMs: ran === undefined || stoppedAt === undefined ? undefined : Math.max(0, ran - stoppedAt) }
}

/** Two of them are in memory for a while. */
function requireRoom(bytes: number): void {
  const available = Number(/^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0) * 1024
  const mebibytes = (amount: number) => `${Math.ceil(amount / 2 ** 20)} MiB`
  if (available < bytes)
    throw new Error(
      `Insufficient memory: the second QEMU needs ${mebibytes(bytes)} for as long as the migration lasts, ${mebibytes(available)} are available`,
    )
}

async function startSecond(
  rooms: StartRooms,
  machine: Machine,
  object: StoredObject,
  twin: boolean,
  signal: AbortSignal,
): Promise<Second> {
  const { started } = machine.record
  // Nothing is pulled: the guest's disks lie on the images that it was started with.
  const images = { ...rooms.images, pull: async (name: string) => (await rooms.images.find(name))! }
  const alike = asBefore(object, started!.machineType)
  const prepared = await prepareMachine({ ...rooms, images }, machine, alike, signal, started)
  await prepared.network?.joined
  try {
    signal.throwIfAborted()
    if (JSON.stringify(prepared.disks.shared) !== JSON.stringify(started!.sharedDisks))
      throw new Error('an image of its disks was replaced under the same name: load the former')
    if (prepared.accelerator.kind !== started!.accelerator)
      throw new Error(
        `the guest runs under ${started!.accelerator} and this machine has ${prepared.accelerator.kind} now`,
      )
    if (prepared.network) await rooms.network.makeMachineTap(machine.record.uid, twin, rooms.user?.uid ?? 0)
    dropNames(machine.directory)
    const args = waitingArgs(argsFor(machine, prepared), twin)
    const identity = await launchMachine(rooms, machine, prepared, args)
    limit(rooms, machine, object, identity, 2)
    try {
      return { identity, started: prepared.started, ...(await connect(machine.directory, identity)) }
    } catch (error) {
      await killAndWait(identity)
      throw error
    }
  } finally {
    prepared.disks.close()
  }
}

/** What came while the guest ran is in today's argv only; a Tandem that knows of it made the rest of it, too. */
function argsFor({ record }: Machine, { plan, started, disks }: PreparedMachine): string[] {
  const today = qemuArgs(plan)
  if (record.started?.plugged || record.started?.growth) return today
  const source = record.process!
  return withHardwareOf(argsOf(source), today, started.machineType, filesOf(source, disks.files))
}

/** The guest sees the same hardware, also where an unversioned name means a newer one today. */
function asBefore(object: StoredObject, machineType: string): StoredObject {
  const { domain } = object.spec
  const machine = { ...domain.machine, type: machineType }
  return { ...object, spec: { ...object.spec, domain: { ...domain, machine } } }
}

async function connect(directory: string, identity: ProcessIdentity): Promise<Pick<Second, 'qmp' | 'says'>> {
  const path = join(directory, waitingName(machineFiles.qmp))
  const says = new EventTarget()
  const handlers = {
    onEvent: (event: QmpEvent) => hearStatus(says, event),
    onClose: () => {},
  }
  for (const deadline = Date.now() + answerTimeoutMs; ; await new Promise((resolve) => setTimeout(resolve, 10)))
    try {
      return { says, qmp: await withSocketPath(path, (short) => openQmp(short, handlers, answerTimeoutMs)) }
    } catch (error) {
      if (!isAlive(identity)) throw new Error('the second QEMU ended; see qemu.log', { cause: error })
      if (Date.now() > deadline) throw new Error('the second QEMU does not answer', { cause: error })
    }
}

/** The target is the machine now, and runs. @throws Error when it cannot: the source is the machine again then */
async function commit(
  machine: Machine,
  second: Second,
  twin: boolean,
  goesOn: boolean,
  moved: NonNullable<MachineRecord['moved']>,
): Promise<void> {
  if (machine.record.result || machine.detached) throw new Error('the machine has ended meanwhile')
  const before = machine.record
  second.says.addEventListener('RESUME', (event) => {
    second.ran = eventMs((event as any).from)
  })
  const { identity: process, started } = second
  const moving = { uid: moved.uid, paused: !goesOn, committed: true } as const
  try {
    note(machine, { ...before, process, started, twin, moved }, moving)
    if (goesOn) await second.qmp.execute('cont')
  } catch (error) {
    // Where QEMU did not say no, nobody knows whether it runs: then there is no way back.
    if (machine.record.process === process && !(error instanceof QmpError)) return
    note(machine, before, before.moving)
    throw error
  }
}

/** What the source still held goes, and the target gets its names. */
async function settle(
  rooms: StartRooms,
  machine: Machine,
  object: StoredObject,
  observer: Observer,
  second: Second,
  former: ProcessIdentity,
): Promise<void> {
  takeNames(machine.directory)
  await forgetCapabilities(second.qmp).catch(() => {})
  second.qmp.close()
  await takeUp(machine, observer, answerTimeoutMs).catch(() => keepConnecting(machine, observer))
  await killAndWait(former)
  limit(rooms, machine, object)
  await place(rooms, machine, object)
  await dropOtherTap(rooms, machine.record)
  note(machine, machine.record)
}

/** As at its start. */
async function place(rooms: StartRooms, machine: Machine, object: StoredObject): Promise<void> {
  const placement = machine.record.started?.placement
  if (placement) await pin(machine, specOf(object), placement)
  if (takenCpus(rooms.machines()).size) await makeWay(rooms.machines())
}

async function dropOtherTap({ network }: Pick<StartRooms, 'network'>, { uid, started, twin }: MachineRecord) {
  if (started?.network) await network.dropMachineTap(uid, !twin)
}

async function revert(
  rooms: StartRooms,
  machine: Machine,
  source: Qmp,
  second: Second | undefined,
  former: ProcessIdentity,
  paused: boolean,
): Promise<void> {
  second?.qmp.close()
  if (second) await killAndWait(second.identity)
  if (!source.closed && isAlive(former)) {
    await takeBack(source, paused).catch((error) =>
      rooms.log.error('a guest does not go on after its migration failed', { machine: machine.record.name, error }),
    )
    await forgetCapabilities(source).catch(() => {})
  }
  dropNames(machine.directory)
  await dropOtherTap(rooms, machine.record)
  if (!machine.record.result) note(machine, machine.record)
}

/** The target is gone. A source that had sent everything, or is about to notice, goes on. */
async function takeBack(source: Qmp, paused: boolean): Promise<void> {
  for (const deadline = Date.now() + answerTimeoutMs; ; await new Promise((resolve) => setTimeout(resolve, 10))) {
    const { status } = await source.execute<{ status: string }>('query-status')
    if (status === 'postmigrate') {
      await source.execute('cont')
      if (paused) await source.execute('stop')
      return
    }
    if (status !== 'finish-migrate' || Date.now() > deadline) return
  }
}

/** Before a former Tandem's machine is connected: only the QEMU of the record is left, under its usual names. */
export async function recoverNames(machine: Machine, strays: ProcessIdentity[]): Promise<void> {
  const { moving } = machine.record
  if (!moving) return
  for (const stray of strays) await killAndWait(stray)
  if (moving.committed) takeNames(machine.directory)
  else dropNames(machine.directory)
}

/** Once it is connected: what QMP says decides what is still to be done. */
export async function recoverMove(rooms: Pick<StartRooms, 'network'>, machine: Machine): Promise<void> {
  const { qmp, record } = machine
  const { moving } = record
  if (!moving || !qmp) return
  if (!moving.committed) await takeBack(qmp, moving.paused)
  else if (!moving.paused && ['paused', 'prelaunch'].includes(machine.runState ?? '')) await qmp.execute('cont')
  await forgetCapabilities(qmp).catch(() => {})
  await dropOtherTap(rooms, record)
  note(machine, record)
}
