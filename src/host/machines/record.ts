// What is known of a machine beyond Tandem's own life: machine.json in its directory, replaced as a whole.

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { HostDevice } from './host-devices.ts'
import type { Plugged } from './hotplug-plan.ts'
import type { Placement } from './placement.ts'
import { machineFiles } from './plan.ts'
import type { ProcessIdentity } from './process.ts'
import type { Growth, Room } from './resize-plan.ts'
import type { Topology } from './resources.ts'

/** How the machine ended: the phase that its object gets for good. */
export interface MachineResult {
  phase: 'Succeeded' | 'Failed'
  reason: string
  message: string
}

/** What status needs and only the start knew. */
export interface StartedMachine {
  accelerator: 'kvm' | 'tcg'
  /** Why it is software emulation, for the condition. */
  acceleratorMessage: string
  machineType: string
  memoryBytes: number
  topology: Topology
  network?: { address: string; mac: string }
  /** Names of the cards that it was started with, in order. */
  cards?: string[]
  /** Those of them that are on further networks, and that it still has. */
  secondaries?: { name: string; mac: string; podInterface: string; addresses: string[] }[]
  hostDevices?: HostDevice[]
  /** Processors that it has for itself. */
  placement?: Placement
  volumes: Record<string, unknown>[]
  runtimeUser: number
  /** Disks of container images that it reads. */
  sharedDisks: string[]
  /** How far it may grow. */
  room?: Room
  /** What was plugged since; `topology` is what it has by now, `memoryBytes` what it started with. */
  plugged?: Plugged
  growth?: Growth
  /** Cards whose cable is pulled. */
  linksDown?: string[]
}

export interface MachineRecord {
  uid: string
  namespace: string
  name: string
  /** Whom its QEMU runs as; absent where that is whoever Tandem is. */
  user?: number
  /** Absent until QEMU was started. */
  process?: ProcessIdentity
  /** Processes beside QEMU that do a device's work. */
  companions?: ProcessIdentity[]
  started?: StartedMachine
  /** The VirtualMachine from whose saved state it is going on, and whether it is to be paused then; absent once it has. */
  resuming?: { owner: string; paused: boolean }
  /** Its guest is moving to a second QEMU; `committed` once that one is `process`, and may have run. */
  moving?: { uid: string; paused: boolean; committed?: true }
  /** The last migration that moved it, and when in ms since 1970. */
  moved?: { uid: string; started: number; ended: number }
  /** It is the taps' second turn: whose guest moved an odd number of times. */
  twin?: boolean
  /** QEMU was started, but the machine has no network yet, or is a copy of a template that does not know who it is. */
  unfinished?: true
  /** Its memory is being copied for a snapshot; whether it was paused before. */
  snapping?: { paused: boolean }
  /** When the guest must be off, in ms since 1970: set once the stop began, so that a restart does not begin anew. */
  stopDeadline?: number
  /** Its file systems are held still; `until`, in ms since 1970, when a time was given. */
  frozen?: { until?: number }
  result?: MachineResult
}

export function readRecord(directory: string): MachineRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(join(directory, machineFiles.record), 'utf8'))
    return typeof record?.uid === 'string' && typeof record.name === 'string' ? record : undefined
  } catch {
    return undefined
  }
}

/** QEMU may write to this directory too: the new file is made afresh, never through a link that waits in its place. */
export function writeRecord(directory: string, record: MachineRecord): void {
  const path = join(directory, machineFiles.record)
  rmSync(`${path}.new`, { force: true, recursive: true })
  writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600, flag: 'wx' })
  renameSync(`${path}.new`, path)
}
