// Kernel switches that all Tandems of a machine share: the first one that sets a switch remembers its former value, the
// last one that leaves restores it.

import { existsSync, mkdirSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

interface Remembered {
  former: Record<string, string>
  users: string[]
}

const pathOf = (name: string) => `/proc/sys/${name}`

/** Sets a switch that belongs to an interface of our own, so nothing is to be remembered. */
export function setSwitch(name: string, value: string): void {
  writeFileSync(pathOf(name), value)
}

/** One record for each network namespace that a Tandem runs in: switches are per namespace. */
const recordPath = () => {
  const [, inode] = /\[(\d+)\]/.exec(readlinkSync('/proc/self/ns/net')) ?? []
  return `/run/tandem-switches-${inode}.json`
}

function readRecord(): Remembered {
  const path = recordPath()
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Remembered) : { former: {}, users: [] }
}

function writeRecord(record: Remembered): void {
  const path = recordPath()
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.new`, JSON.stringify(record))
  renameSync(`${path}.new`, path)
}

export function useSwitches(instance: string, wanted: Record<string, string>): void {
  const record = readRecord()
  for (const name of Object.keys(wanted)) record.former[name] ??= readFileSync(pathOf(name), 'utf8').trim()
  if (!record.users.includes(instance)) record.users.push(instance)
  writeRecord(record)
  for (const [name, value] of Object.entries(wanted)) setSwitch(name, value)
}

export function releaseSwitches(instance: string): void {
  const record = readRecord()
  record.users = record.users.filter((user) => user !== instance)
  if (record.users.length > 0) {
    writeRecord(record)
    return
  }
  for (const [name, value] of Object.entries(record.former)) setSwitch(name, value)
  rmSync(recordPath(), { force: true })
}
