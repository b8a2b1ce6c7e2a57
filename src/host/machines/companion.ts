// The processes beside a machine's QEMU that do a device's work: its TPM, its shared directories. Each runs as the
// machine's user in the machine's directory and group, and ends with QEMU's connection; whatever is left is killed.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from '../../base/log.ts'
import type { StatePaths } from '../state.ts'
import type { Machine } from './machine.ts'
import { isAlive, killAndWait, launch, type ProcessIdentity, type ProcessUser } from './process.ts'
import { writeRecord } from './record.ts'

export interface CompanionRooms {
  paths: Pick<StatePaths, 'root'>
  user?: ProcessUser
  log: Logger
}

export interface Companion {
  /** What it is, for messages and its log. */
  name: string
  program: string
  args: string[]
  /** The socket that it makes in the machine's directory when it is ready. */
  socket: string
  /** Open descriptors for it, from 3 on. */
  files?: number[]
  /** A directory that it sees as /mnt. */
  shown?: string
  /** Root of a user namespace of its own, in which only its own user exists. */
  ownUserNamespace?: boolean
  /** The Debian package that has the program. */
  package: string
}

const readyTimeoutMs = 10_000
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Resolves when it listens. It is written down before, so that nothing of it is ever left. */
export async function startCompanion(rooms: CompanionRooms, machine: Machine, companion: Companion): Promise<void> {
  const { name, program, args, socket, files = [], shown, ownUserNamespace } = companion
  if (program.startsWith('/') && !existsSync(program)) throw missing(companion)
  const { directory } = machine
  let ended = ''
  const identity = await launch(
    {
      program,
      args,
      directory,
      logFile: join(directory, `${name}.log`),
      hidden: rooms.paths.root,
      user: rooms.user,
      files,
      ...(shown && { shown }),
      ...(ownUserNamespace && { ownUserNamespace }),
    },
    (how) => {
      ended = how
      rooms.log.debug('a process beside a machine ended', { machine: machine.record.name, name, how })
    },
  )
  machine.record = { ...machine.record, companions: [...(machine.record.companions ?? []), identity] }
  writeRecord(directory, machine.record)
  for (let waited = 0; !existsSync(join(directory, socket)); waited += 10) {
    if (ended || !isAlive(identity))
      throw ended === 'exit code 127'
        ? missing(companion)
        : new Error(`${name} ended at once (${ended}); its log is ${join(directory, `${name}.log`)}`)
    if (waited > readyTimeoutMs) throw new Error(`${name} does not listen`)
    await pause(10)
  }
}

const missing = ({ name, program, package: wanted }: Companion) =>
  new Error(`${name} needs the program ${program}: install the package ${wanted}`)

/** They mostly went with QEMU. */
export async function endCompanions(machine: Machine): Promise<void> {
  for (const one of machine.record.companions ?? []) if (isAlive(one)) await killAndWait(one)
  if (machine.record.companions) machine.record = { ...machine.record, companions: undefined }
}

export const isCompanion = (known: readonly ProcessIdentity[] | undefined, { pid, startTime }: ProcessIdentity) =>
  known?.some((one) => one.pid === pid && one.startTime === startTime) ?? false
