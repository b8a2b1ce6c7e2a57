// From a VirtualMachineInstance to a running QEMU: disks, network, firmware and accelerator are prepared side by side,
// then the process is started, written down, limited and connected.

import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
} from 'node:fs'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import type { StoredObject } from '../../api/meta.ts'
import type { Logger } from '../../base/log.ts'
import { settled } from '../../base/settled.ts'
import { cpuRequest } from '../../kinds/kubevirt/launcher-pod.ts'
import { cpuShares } from '../cpu-weight.ts'
import type { Network } from '../network/network.ts'
import type { StatePaths } from '../state.ts'
import { type Accelerator, withKvm } from './accelerator.ts'
import { qemuArgs } from './args.ts'
import { type AttachedCards, attachCards } from './cards.ts'
import { addToGroup, confine } from './cgroup.ts'
import { endCompanions } from './companion.ts'
import { type DiskRooms, type PreparedDisks, prepareDisks } from './disks.ts'
import { startFilesystems } from './filesystems.ts'
import { prepareFirmware } from './firmware.ts'
import { goOn, requireSame, stateToResume } from './hibernate.ts'
import { asksForDevices, chooseDevices, giveGroups, type HostDevice, keyOf, takeInventory } from './host-devices.ts'
import { setCables } from './hotplug-cards.ts'
import { requireHugePages } from './huge-pages.ts'
import { firmwareUuid } from './identity.ts'
import { prepareKernel } from './kernel-boot.ts'
import { attach, finish, type Machine, type Observer } from './machine.ts'
import { machineCpus, makeWay, pin, planPlacement, requireRealtime, takenCpus } from './placement.ts'
import { type MachinePlan, machineFiles } from './plan.ts'
import { firstFile, killAndWait, launch, type ProcessIdentity, type ProcessUser } from './process.ts'
import { type StartedMachine, writeRecord } from './record.ts'
import { addedBytes } from './resize.ts'
import { roomOf } from './resize-plan.ts'
import { guestMemory, overheadBytes, quantity, topologyOf } from './resources.ts'
import type { SavedStates } from './saved-states.ts'
import { lendTemplate, templateOf } from './template.ts'
import { type CopyRooms, goOnAsCopy, mapTemplate } from './template-copy.ts'
import { startTpm } from './tpm.ts'
import { specOf, type VmiSpec } from './vmi.ts'
import { Waiting } from './waiting.ts'

export interface StartRooms extends DiskRooms, CopyRooms {
  instance: string
  paths: StatePaths
  network: Network
  emulator: { program: string; version: string }
  accelerator: Promise<Accelerator>
  user?: ProcessUser
  log: Logger
  saved: SavedStates
  /** All of this node. */
  machines(): Iterable<Machine>
}

/** What KubeVirt counts for a TPM (53Mi) or a shared directory, and some room for what it buffers. */
const companionBytes = 80 * 1024 * 1024

/** How long QEMU may take from its start until it answers on QMP. */
const answerTimeoutMs = 20_000

/** @throws Waiting for what may still come; Error with what QEMU or the preparation said. Leaves nothing running then. */
export async function startMachine(rooms: StartRooms, machine: Machine, object: StoredObject, observer: Observer) {
  requireMemory(guestMemory(specOf(object).domain))
  await requireRealtime(specOf(object))
  requireHugePages(specOf(object), guestMemory(specOf(object).domain))
  const resuming = stateToResume(rooms, object, specOf(object))
  const template = resuming ? undefined : await templateOf({ ...rooms.templates, ...rooms }, object)
  makeDirectory(machine, rooms.user)
  if (resuming) rooms.saved.lend(resuming.owner, machine.directory, rooms.user)
  if (template) await lendTemplate(template, machine.directory, rooms.user)
  const { signal } = machine.starting!.abort
  const prepared = await prepareMachine(rooms, machine, object, signal, (resuming ?? template)?.state.started)
  try {
    signal.throwIfAborted()
    if (resuming) requireSame(resuming.state, prepared.disks.shared, prepared.accelerator)
    machine.starting!.phase = 'Scheduled'
    observer.changed(machine.record.uid)
    await startTpm(rooms, machine, object)
    await startFilesystems(rooms, machine, object)
    if (template)
      await mapTemplate(rooms, machine, prepared, template, (plan) =>
        launchMachine(rooms, machine, prepared, qemuArgs(plan)),
      )
    const identity = await launchMachine(rooms, machine, prepared, qemuArgs(prepared.plan))
    machine.record = {
      ...machine.record,
      process: identity,
      started: prepared.started,
      ...(resuming ? { resuming: { owner: resuming.owner, paused: resuming.state.paused } } : { unfinished: true }),
    }
    writeRecord(machine.directory, machine.record)
  } catch (error) {
    await endCompanions(machine)
    throw error
  } finally {
    prepared.disks.close()
  }
  limit(rooms, machine, object)
  try {
    await prepared.network?.joined
    if (!template) finish(machine)
    await attach(machine, observer, answerTimeoutMs)
    await settle(rooms, machine, specOf(object))
    if (resuming) await goOn(rooms.saved, machine, observer, resuming.owner)
    if (template) await goOnAsCopy(machine, observer, object, prepared.plan, template)
    await setCables(machine, specOf(object))
  } catch (error) {
    const said = lastWords(machine.directory)
    await killAndWait(machine.record.process!)
    await endCompanions(machine)
    machine.record = {
      ...machine.record,
      process: undefined,
      started: undefined,
      resuming: undefined,
      unfinished: undefined,
    }
    writeRecord(machine.directory, machine.record)
    throw said && !(error instanceof Waiting) ? new Error(said, { cause: error }) : error
  }
}

/** On the processors that it may be on. */
async function settle(rooms: StartRooms, machine: Machine, spec: VmiSpec): Promise<void> {
  const placement = machine.record.started?.placement
  if (placement) await pin(machine, spec, placement)
  if (takenCpus(rooms.machines()).size) await makeWay(rooms.machines())
}

/** QEMU would say it in words of its own. */
function requireMemory(bytes: number): void {
  if (bytes <= totalmem()) return
  const gibibytes = (amount: number) => `${(amount / 2 ** 30).toFixed(1)} GiB`
  throw new Waiting(
    'Unschedulable',
    `0/1 nodes are available: 1 Insufficient memory. The guest wants ${gibibytes(bytes)}, this machine has ${gibibytes(totalmem())}: lower spec.domain.memory.guest`,
  )
}

export interface PreparedMachine {
  plan: MachinePlan
  started: StartedMachine
  disks: PreparedDisks
  network: AttachedCards | undefined
  accelerator: Accelerator
}

/**
 * What QEMU needs, side by side. With `before`, what the guest had in another QEMU, the machine's own files are there
 * already, and QEMU is to wait for the state of the guest. The disks are to be closed by who asked.
 */
export async function prepareMachine(
  rooms: StartRooms,
  machine: Machine,
  object: StoredObject,
  signal: AbortSignal,
  before: StartedMachine | undefined,
): Promise<PreparedMachine> {
  const spec = specOf(object)
  const waiting = before !== undefined
  const topology = before?.topology ?? topologyOf(spec.domain)
  const memoryBytes = before?.memoryBytes ?? guestMemory(spec.domain)
  const room = before ? before.room : roomOf(spec.domain)
  const growth = before?.growth
  const uuid = firmwareUuid(object)
  const [disks, firmware, network, kernel, accelerator] = await settled([
    prepareDisks(rooms, object, uuid, machine.directory, signal, before),
    prepareFirmware(rooms, object, machine.directory, waiting),
    attachCards(rooms, object, before),
    prepareKernel(rooms, object, signal),
    rooms.accelerator,
  ])
  /** The name under which QEMU opens what it is given open. */
  const handOver = (file: number) => `/proc/self/fd/${firstFile + disks.files.push(file) - 1}`
  if (firmware?.file !== undefined) firmware.vars = handOver(firmware.file)
  if (kernel) disks.shared.push(...kernel.shared)
  const others = [...rooms.machines()].filter((one) => one !== machine)
  const hostDevices = await devicesFor(rooms, spec, others)
  const placement = planPlacement(spec, topology, machineCpus(), takenCpus(others))
  const plan: MachinePlan = {
    title: `${object.metadata.namespace}/${object.metadata.name}`,
    uuid,
    spec,
    accelerator: accelerator.kind,
    // What came while it ran is added by itself.
    topology: { ...topology, sockets: growth?.sockets ?? topology.sockets },
    memoryBytes,
    disks: disks.disks,
    room,
    growth,
    plugged: disks.plugged,
    scsiPort: before?.plugged?.scsiPort,
    cards: network?.cards ?? [],
    emptied: before?.plugged?.emptied,
    firmware,
    hostDevices,
    ...(placement?.numa && { numa: placement.numa }),
    ...(kernel && {
      kernel: {
        kernel: handOver(kernel.kernel),
        ...(kernel.initrd !== undefined && { initrd: handOver(kernel.initrd) }),
        args: kernel.args,
      },
    }),
    ...(waiting && { resuming: true }),
  }
  const started: StartedMachine = {
    accelerator: accelerator.kind,
    acceleratorMessage: accelerator.message,
    machineType: machineType(spec.domain.machine?.type, rooms.emulator.version),
    memoryBytes,
    topology,
    ...network?.started,
    ...(placement && { placement }),
    ...(hostDevices && { hostDevices }),
    volumes: disks.volumes,
    sharedDisks: disks.shared,
    runtimeUser: rooms.user?.uid ?? process.getuid?.() ?? 0,
    ...(room && { room }),
    ...(before?.plugged && {
      plugged: { ...before.plugged, disks: disks.plugged.map(({ plug }) => plug), cards: network?.plugged },
    }),
    ...(growth && { growth }),
  }
  return { plan, started, disks, network, accelerator }
}

async function devicesFor(
  rooms: StartRooms,
  { domain }: VmiSpec,
  others: Machine[],
): Promise<HostDevice[] | undefined> {
  if (!asksForDevices(domain)) return undefined
  const taken = others.flatMap(({ record: { started, result } }) => (result ? [] : (started?.hostDevices ?? [])))
  const configuration = await rooms.sources.configuration()
  const chosen = chooseDevices(domain, configuration, takeInventory(), new Set(taken.map(keyOf)))
  giveGroups(chosen, rooms.user)
  return chosen
}

export function launchMachine(
  rooms: StartRooms,
  machine: Machine,
  { plan, network, disks }: PreparedMachine,
  args: string[],
): Promise<ProcessIdentity> {
  return launch(
    {
      program: rooms.emulator.program,
      args,
      directory: machine.directory,
      logFile: join(machine.directory, machineFiles.qemuLog),
      netns: network?.netns,
      hidden: rooms.paths.root,
      user: rooms.user && plan.accelerator === 'kvm' ? withKvm(rooms.user) : rooms.user,
      files: disks.files,
      // What a device of the machine writes into must stay where it is.
      locksMemory: plan.hostDevices !== undefined,
    },
    (how) => rooms.log.info('a QEMU process ended', { machine: plan.title, how }),
  )
}

/**
 * A fresh directory that QEMU may make its sockets in, but whose other files it cannot replace (sticky). The record is never
 * away: for whose user the machine's network was made must not be forgotten.
 */
function makeDirectory(machine: Machine, user?: ProcessUser): void {
  mkdirSync(machine.directory, { recursive: true, mode: 0o700 })
  writeRecord(machine.directory, machine.record)
  for (const name of readdirSync(machine.directory))
    if (name !== machineFiles.record) rmSync(join(machine.directory, name), { recursive: true, force: true })
  if (user) {
    chownSync(machine.directory, process.getuid?.() ?? 0, user.gid)
    chmodSync(machine.directory, 0o1770)
  }
}

export function limit(
  rooms: Pick<StartRooms, 'instance' | 'log'>,
  machine: Machine,
  object: StoredObject,
  identity = machine.record.process,
  times = 1,
): void {
  const { started, companions = [] } = machine.record
  if (!identity || !started) return
  const { topology, accelerator } = started
  const memoryBytes = started.memoryBytes + addedBytes(started)
  const { cpu } = specOf(object).domain.resources?.limits ?? {}
  const problems = confine(rooms.instance, machine.record.uid, identity.pid, {
    memoryBytes:
      times * (memoryBytes + overheadBytes(memoryBytes, topology, accelerator) + companions.length * companionBytes),
    cpus: cpu === undefined ? undefined : quantity(cpu),
    tasks: times * 512,
    cpuShares: cpuShares(1000 * quantity(cpuRequest(specOf(object).domain))),
  })
  for (const { pid } of companions) problems.push(...addToGroup(rooms.instance, machine.record.uid, pid))
  if (problems.length) rooms.log.warn('a machine runs without some limits', { machine: object.metadata.name, problems })
}

/** q35 is a name for the newest version of it; KubeVirt reports the version. */
function machineType(asked: string | undefined, version: string): string {
  const short = version.split('.').slice(0, 2).join('.')
  if (!asked || asked === 'q35') return `pc-q35-${short}`
  return asked === 'pc' ? `pc-i440fx-${short}` : asked
}

/** The end of QEMU's log: what it said before it gave up. */
function lastWords(directory: string): string {
  try {
    const file = openSync(join(directory, machineFiles.qemuLog), constants.O_RDONLY | constants.O_NOFOLLOW)
    const { size } = fstatSync(file)
    const tail = Buffer.alloc(Math.min(size, 4096))
    readSync(file, tail, 0, tail.length, size - tail.length)
    closeSync(file)
    const lines = tail
      .toString()
      .trim()
      .split('\n')
      .filter((line) => !/: warning: /.test(line))
    return lines.slice(-3).join('; ').slice(0, 1000)
  } catch {
    return ''
  }
}
