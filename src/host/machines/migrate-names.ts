// Two QEMUs of one machine side by side: the second one has other names for its sockets and taps, until its guest has
// moved in. Then its sockets get the names that everybody knows; its taps keep theirs until the next migration.

import { readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { twinOf } from '../network/machine-plan.ts'

const waitingSuffix = '.next'

/** Where the guest's state goes from one QEMU to the other; both have this directory as their working directory. */
export const migrationSocket = 'migrate.sock'

/** The argv of the QEMU that waits. Pure. */
export function waitingArgs(args: string[], twin: boolean): string[] {
  // The guest runs when Tandem says so, and not before that is written down.
  return [...args.map((arg) => waitingArg(arg, twin)), '-S']
}

function waitingArg(arg: string, twin: boolean): string {
  if (/^socket,.*\bserver=on\b/.test(arg)) return arg.replace(/(,path=[\w.-]+\.sock)(?=,|$)/, `$1${waitingSuffix}`)
  if (/^unix:[\w.-]+\.sock$/.test(arg)) return `${arg}${waitingSuffix}`
  if (twin && /^tap,/.test(arg))
    return arg.replace(/(,ifname=)([\w.-]+)/, (_, key: string, tap: string) => key + twinOf(tap))
  return arg
}

export const waitingName = (socket: string): string => `${socket}${waitingSuffix}`

/** The QEMU that waited is the machine's now. Idempotent. */
export function takeNames(directory: string): void {
  for (const name of waiting(directory))
    renameSync(join(directory, name), join(directory, name.slice(0, -waitingSuffix.length)))
  rmSync(join(directory, migrationSocket), { force: true })
}

/** It is gone. Idempotent. */
export function dropNames(directory: string): void {
  for (const name of waiting(directory)) rmSync(join(directory, name), { force: true })
  rmSync(join(directory, migrationSocket), { force: true })
}

const waiting = (directory: string): string[] =>
  readdirSync(directory).filter((name) => name.endsWith(`.sock${waitingSuffix}`))
