// The driver of virtual machines: one QEMU process for each VirtualMachineInstance of this node. What it does is here;
// how a machine is started, watched, stopped and told of is in the files beside.

import { chmodSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { StoredObject } from '../../api/meta.ts'
import type { NodeStreams } from '../../api/streams.ts'
import type { Logger } from '../../base/log.ts'
import { silentLogger } from '../../base/log.ts'
import type { Client } from '../../client/client.ts'
import { run } from '../exec.ts'
import type { Images } from '../images/images.ts'
import type { Network } from '../network/network.ts'
import type { StatePaths } from '../state.ts'
import type { Volumes } from '../volumes/volumes.ts'
import type { EventRecorder, FoundWorkload, SyncResult, WorkloadDriver } from '../workload.ts'
import { type Accelerator, proveAccelerator } from './accelerator.ts'
import { isCompanion } from './companion.ts'
import { createControl, type MachineControl } from './control.ts'
import { hibernated } from './ending.ts'
import { recoverHalfway } from './hibernate.ts'
import { createLifecycle } from './lifecycle.ts'
import { trimLogs } from './logs.ts'
import {
  attach,
  detach,
  isRunning,
  keepConnecting,
  type Machine,
  newMachine,
  type Observer,
  vanished,
} from './machine.ts'
import { recoverMove, recoverNames } from './migrate.ts'
import { processesBelow, signal } from './process.ts'
import { readRecord } from './record.ts'
import { createSavedStates } from './saved-states.ts'
import { createSnapshotFiles } from './snapshot-files.ts'
import { letRun } from './snapshot-memory.ts'
import { createSnapshotTaker, type SnapshotTaker } from './snapshot-take.ts'
import { createSources } from './sources.ts'
import { createTemplateMemory } from './template-memory.ts'

export interface MachinesOptions {
  paths: StatePaths
  /** Four hex digits that keep two Tandems apart (config.ts). */
  instance: string
  nodeName: string
  /** Reads Secrets, ConfigMaps and VirtualMachines. */
  client: Client
  images: Images
  volumes: Volumes
  network: Network
  record: EventRecorder
  log?: Logger
  /** False: QEMU runs as whoever Tandem is (no root). Default: each as a user of its own. */
  ownUsers?: boolean
  /** Default qemu-system-x86_64. */
  emulator?: string
  now?: () => number
}

export interface Machines
  extends WorkloadDriver,
    MachineControl,
    SnapshotTaker,
    Pick<NodeStreams, 'machineConsole' | 'machineVnc' | 'machineUsb' | 'machinePortForward'> {
  /** Disks of container images that machines read: removing them would cost the next start an unpacking. */
  disksInUse(): string[]
  /** Running QEMUs, for who measures what they use. */
  running(): { uid: string; namespace: string; name: string; pid: number }[]
  /** What was found out about KVM. */
  proof(): Promise<Accelerator>
}

/** KubeVirt's virt-launcher runs QEMU with this uid and gid, and container disks are made for it. */
const logTrimMs = 5_000

export function createMachines(options: MachinesOptions): Machines {
  const log = options.log ?? silentLogger
  const now = options.now ?? Date.now
  const machines = new Map<string, Machine>()
  const listeners: ((uid: string) => void)[] = []
  let emulator: { program: string; version: string } | undefined
  let missing = 'QEMU was not looked for yet'
  let accelerator: Promise<Accelerator> | undefined
  let accelerated: Accelerator | undefined
  let trimming: ReturnType<typeof setInterval> | undefined

  const changed = (uid: string) => {
    for (const listener of listeners) listener(uid)
  }
  const observer: Observer = { log, changed, ended: (machine, result) => lifecycle.end(machine, result) }
  const saved = createSavedStates(options.paths.saved)
  const snapshots = createSnapshotFiles(options.paths.snapshots)
  const memory = createTemplateMemory()
  const lifecycle = createLifecycle({
    ...options,
    log,
    now,
    machines,
    observer,
    sources: createSources(options.client),
    saved,
    templates: { client: options.client, snapshots, memory },
    emulator: () => emulator,
    missing: () => missing,
    accelerator: () => accelerator!,
  })

  async function findEmulator(): Promise<void> {
    const program = options.emulator ?? 'qemu-system-x86_64'
    try {
      const { stdout } = await run([program, '--version'], { timeoutMs: 10_000 })
      const version = /version (\d+(?:\.\d+)+)/.exec(stdout)?.[1] ?? 'unknown'
      emulator = { program, version }
      accelerator = proveAccelerator({
        emulator: program,
        version,
        cacheFile: join(options.paths.machines, '.accelerator.json'),
      })
      void accelerator.then((proved) => {
        accelerated = proved
        log.info('accelerator for virtual machines', { ...proved })
      })
    } catch (error) {
      missing = `${(error as Error).message}; install the package qemu-system-x86`
    }
  }

  /** QEMUs of a former Tandem, by their working directory: connected again, or cleaned up when half-started. */
  async function recover(): Promise<void> {
    const running = processesBelow(options.paths.machines)
    const uids = new Set([...directoriesIn(options.paths.machines), ...running.keys()])
    await Promise.all([...uids].map((uid) => recoverOne(uid, running.get(uid) ?? [])))
  }

  async function recoverOne(uid: string, processes: { pid: number; startTime: string }[]): Promise<void> {
    const directory = join(options.paths.machines, uid)
    const record = readRecord(directory)
    const known = record?.process
    const strays = processes.filter(
      (one) => (one.pid !== known?.pid || one.startTime !== known.startTime) && !isCompanion(record?.companions, one),
    )
    for (const one of strays) signal(one, 'SIGKILL')
    // Nothing that was ever started: the next sync begins from the start, or the host removes it.
    if (!record || record.uid !== uid) return
    const machine = newMachine(directory, record)
    if (!known && !record.result) return
    machines.set(uid, machine)
    if (record.result) {
      lifecycle.end(machine, record.result)
      return
    }
    await recoverNames(machine, strays)
    if (isRunning(machine))
      await attach(machine, observer, 5_000).catch((error) => {
        log.warn('a machine does not answer', { machine: record.name, error })
        keepConnecting(machine, observer)
      })
    await recoverMove(options, machine).catch((error) =>
      log.warn('cannot end a migration of before', { machine: record.name, error }),
    )
    await letRun(machine).catch((error) =>
      log.warn('cannot let a machine go on after a snapshot', { machine: record.name, error }),
    )
    switch (await recoverHalfway(saved, machine)) {
      case 'hibernated':
        lifecycle.end(machine, hibernated)
        break
      case 'again':
        detach(machine)
        machines.delete(uid)
        break
      case 'as it is':
        if (!isRunning(machine)) lifecycle.end(machine, vanished)
    }
  }

  return {
    kind: 'VirtualMachineInstance',
    ...createControl({ machines, observer, log }),
    ...createSnapshotTaker({ machines, observer, client: options.client }),

    async start() {
      mkdirSync(options.paths.machines, { recursive: true, mode: 0o711 })
      openTun(log)
      await findEmulator()
      await recover()
      trimming = setInterval(() => trimLogs([...machines.values()].filter(isRunning), log), logTrimMs)
      trimming.unref()
    },

    conditions: () => [
      emulator
        ? {
            type: 'Ready',
            status: 'True',
            reason: 'QEMUReady',
            message: `QEMU ${emulator.version} runs virtual machines`,
          }
        : { type: 'Ready', status: 'False', reason: 'QEMUNotReady', message: missing },
      emulationCondition(accelerated),
    ],

    async found() {
      const found = new Map<string, FoundWorkload>()
      for (const uid of [...directoriesIn(options.paths.machines), ...(await options.network.attachedMachines())]) {
        const record = machines.get(uid)?.record ?? readRecord(join(options.paths.machines, uid))
        found.set(uid, { uid, namespace: record?.namespace ?? '', name: record?.name ?? '' })
      }
      return [...found.values()]
    },

    running: () =>
      [...machines.values()]
        .filter(isRunning)
        .flatMap(({ record: { uid, namespace, name, process } }) =>
          process ? [{ uid, namespace, name, pid: process.pid }] : [],
        ),
    proof: async () =>
      (await accelerator) ?? { kind: 'tcg', reason: 'KVMNotProved', message: `QEMU proves it: ${missing}` },
    disksInUse: () =>
      [
        ...[...machines.values()].filter(isRunning).map(({ record }) => record.started),
        ...saved.all().map(([, state]) => state.started),
        ...snapshots.all().map((content) => snapshots.find(content)?.memory?.started),
      ].flatMap((started) => started?.sharedDisks ?? []),
    sync: (object: StoredObject): Promise<SyncResult> => lifecycle.sync(object),
    stopped: (uid) => lifecycle.stopped(uid),
    remove: (workload) => lifecycle.remove(workload),
    onChange: (listener) => void listeners.push(listener),

    async stop() {
      clearInterval(trimming)
      for (const machine of machines.values()) machine.starting?.abort.abort(new Error('Tandem stops'))
      for (const { migration } of machines.values()) migration?.abort.abort(new Error('Tandem stops'))
      // A memory that is half on disk is written to its end.
      await Promise.allSettled(
        [...machines.values()].flatMap(({ starting, saving, migration }) => [starting?.done, saving, migration?.done]),
      )
      // The proof ends by itself within seconds; it writes its result below the state directory.
      await accelerator?.catch(() => {})
      lifecycle.close()
      memory.close()
    },
  }
}

function emulationCondition(accelerator: Accelerator | undefined) {
  const type = 'SoftwareEmulation'
  if (!accelerator)
    return { type, status: 'Unknown' as const, reason: 'NotProvedYet', message: 'a test guest is being run in KVM' }
  const { kind, reason, message } = accelerator
  return { type, status: kind === 'tcg' ? ('True' as const) : ('False' as const), reason, message }
}

/** Machines have their uid as the name of their directory; names with a dot in front are ours. */
function directoriesIn(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map((entry) => entry.name)
  } catch {
    return []
  }
}

/** udev opens /dev/net/tun to everybody (the kernel checks who may do what with it); where there is no udev, we do. */
function openTun(log: Logger): void {
  try {
    chmodSync('/dev/net/tun', 0o666)
  } catch (error) {
    log.debug('cannot open /dev/net/tun to QEMU', { error })
  }
}
