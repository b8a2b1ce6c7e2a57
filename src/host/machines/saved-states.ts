// Machines that are suspended to disk. saved/<uid of the VirtualMachine>/ holds the memory, the disks that would have gone
// with the instance, and saved.json; while it is being filled it is called <uid>.new. Only Tandem may look inside.

import {
  existsSync,
  lchownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { StoredObject } from '../../api/meta.ts'
import type { Owner } from './disk-files.ts'
import { machineFiles } from './plan.ts'
import type { StartedMachine } from './record.ts'
import type { VmiSpec } from './vmi.ts'

export interface SavedState {
  /** The uid of the instance that was saved. */
  instance: string
  /** Version of the QEMU that wrote it. */
  emulator: string
  started: StartedMachine
  hardware: string
  /** It was paused before it was saved, and is to be so again. */
  paused: boolean
}

export interface SavedStates {
  find(owner: string): SavedState | undefined
  /** Every machine that is saved or being saved: the uid of its VirtualMachine and its state. */
  all(): [owner: string, state: SavedState][]
  /** Makes room; returns where the memory is to be written. */
  begin(owner: string): string
  /** The memory is complete: from now on the instance counts as saved, whatever happens. */
  seal(owner: string, state: SavedState): void
  /** Whether the instance is sealed and only to be collected. */
  isSealed(owner: string, instance: string): boolean
  /** Takes the disks of a sealed machine whose QEMU has ended out of its directory. Idempotent. */
  collect(owner: string, directory: string): void
  /** Where the memory of a saved machine is. */
  ram(owner: string): string
  /** The saved disks appear in the directory of a machine that is to go on; they stay here until `forget`. */
  lend(owner: string, directory: string, user?: Owner): void
  /** The state is void: its guest runs. */
  spend(owner: string): void
  forget(owner: string): void
}

const ramFile = 'ram'
const stateFile = 'saved.json'
const unfinished = '.new'
/** Whether a file of a machine's directory belongs to its state. */
export const isKept = (name: string): boolean => /^disk-\d+\./.test(name) || name === machineFiles.nvram

/** The VirtualMachine that an instance belongs to. */
export const ownerOf = (object: StoredObject): string | undefined =>
  object.metadata.ownerReferences?.find((owner) => owner.controller && owner.kind === 'VirtualMachine')?.uid

/** A saved guest goes on only in the same hardware: what its devices are made from, as text to compare. */
export const hardwareOf = ({ domain, networks, volumes }: VmiSpec): string =>
  JSON.stringify({ domain, networks, volumes })

export function createSavedStates(root: string): SavedStates {
  const at = (owner: string) => join(root, owner)
  const filling = (owner: string) => join(root, `${owner}${unfinished}`)
  const names = (path: string): string[] => (existsSync(path) ? readdirSync(path) : [])

  function read(directory: string): SavedState | undefined {
    try {
      return JSON.parse(readFileSync(join(directory, stateFile), 'utf8'))
    } catch {
      return undefined
    }
  }

  return {
    find: (owner) => read(at(owner)),
    all: () =>
      names(root).flatMap((name) => {
        const state = read(at(name))
        return state ? [[name.replace(unfinished, ''), state] as [string, SavedState]] : []
      }),
    begin(owner) {
      rmSync(filling(owner), { recursive: true, force: true })
      mkdirSync(filling(owner), { recursive: true, mode: 0o700 })
      return join(filling(owner), ramFile)
    },
    seal(owner, state) {
      const path = join(filling(owner), stateFile)
      writeFileSync(`${path}.new`, JSON.stringify(state), { mode: 0o600, flush: true })
      renameSync(`${path}.new`, path)
    },
    isSealed: (owner, instance) => [filling(owner), at(owner)].some((path) => read(path)?.instance === instance),
    collect(owner, directory) {
      if (!read(filling(owner))) return
      for (const name of names(directory))
        if (isKept(name)) renameSync(join(directory, name), join(filling(owner), name))
      rmSync(at(owner), { recursive: true, force: true })
      renameSync(filling(owner), at(owner))
    },
    ram: (owner) => join(at(owner), ramFile),
    lend(owner, directory, user) {
      for (const name of names(at(owner)).filter(isKept)) {
        linkSync(join(at(owner), name), join(directory, name))
        if (user) lchownSync(join(directory, name), user.uid, user.gid)
      }
    },
    spend: (owner) => rmSync(join(at(owner), stateFile), { force: true }),
    forget(owner) {
      for (const path of [at(owner), filling(owner)]) rmSync(path, { recursive: true, force: true })
    },
  }
}
