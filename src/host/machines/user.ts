// Every QEMU is a user of its own, who owns nothing else and belongs to no other machine: one that is broken out of meets
// the files and processes of no other.

import type { Machine } from './machine.ts'
import type { ProcessUser } from './process.ts'

/** Above the users of people and those that Debian gives out as subordinate ids (100000 and 65536 for each of some). */
export const firstMachineUser = 1_070_000
const count = 10_000

/** The machine's user, given at its first start and kept while anything of it is there. */
export function userOf(machine: Machine, machines: Iterable<Machine>): ProcessUser {
  const known = machine.record.user
  if (known !== undefined) return { uid: known, gid: known }
  const taken = new Set([...machines].map(({ record }) => record.user))
  for (let uid = firstMachineUser; uid < firstMachineUser + count; uid++) {
    if (taken.has(uid)) continue
    machine.record = { ...machine.record, user: uid }
    return { uid, gid: uid }
  }
  throw new Error(`all ${count} users of virtual machines are taken: delete machines that have ended`)
}
