// A VMM is the program that runs a micro-VM. What Tandem asks of every one: an argument list that is made of data, and a
// socket in its working directory through which it is told the rest. Who starts it, and how it is confined, is not its
// own matter: for Pods it is runc (host/microvm), in a root of its own, as nobody's user and without capabilities.

import type { Owner } from '../machines/disk-files.ts'

/** A raw image; no VMM ever guesses a format. */
export interface GuestDisk {
  path: string
  readOnly: boolean
}

/** The tap exists, is up, and belongs to the VMM's user. */
export interface GuestCard {
  /** Unique in the guest: letters, digits, dashes. */
  name: string
  tap: string
  mac: string
}

/** Served by virtiofsd at the socket. */
export interface GuestFolder {
  tag: string
  socket: string
}

/** The same guest for every VMM. Paths are those that the VMM sees. */
export interface Guest {
  kernel: string
  initrd: string
  memoryBytes: number
  cpus: number
  disks: GuestDisk[]
  cards: GuestCard[]
  folder?: GuestFolder
}

export interface VmmStart {
  /** Path of the program. */
  program: string
  accelerator: 'kvm' | 'tcg'
  /** It waits for a saved guest (`load`) instead of booting one. */
  waits?: boolean
}

export interface VmmDriver {
  /** For settings: "qemu". */
  readonly name: string
  /** For a person: "QEMU". */
  readonly title: string
  /** Names of its program, the first is the usual one. */
  readonly programs: readonly string[]
  /** What to do when there is none. */
  readonly remedy: string
  /** The oldest version that is used, and why. */
  readonly oldest?: { version: number; because: string }
  readonly can: {
    /** Runs where KVM does not. */
    emulate: boolean
    /** Saves guests that have a shared folder, too. */
    saveFolder: boolean
  }
  /** Pure. The program is to run in the directory that `control` gets. */
  argv(guest: Guest, start: VmmStart): string[]
  /** `directory`: the working directory of a VMM; `owner`: the user that it runs as, where that is another. */
  control(directory: string, owner?: Owner): VmmControl
}

/** absent: nobody answers, because it is not there yet or no more. */
export type VmmState = 'running' | 'paused' | 'absent'

/** @throws Error in words for a person: VmmRefused when the VMM said no, VmmAbsent when nobody answers */
export interface VmmControl {
  state(): Promise<VmmState>
  /** What the guest has said on its serial line and nobody has read yet, as far as the VMM has kept it. */
  console(): Promise<string>
  pause(): Promise<void>
  resume(): Promise<void>
  /**
   * A paused guest goes on where it stood when another VMM of the same kind loads it. `folder`: an empty one in the VMM's
   * directory, where its user may write.
   */
  save(folder: string): Promise<void>
  /** Into a VMM that waits; the guest is paused then. Loading does not use up what is saved. */
  load(folder: string): Promise<void>
  /** Asks the guest to end; a guest that does not listen runs on. */
  pressPower(): Promise<void>
  /** Ends the VMM at once. */
  quit(): Promise<void>
}

/** The VMM said no. */
export class VmmRefused extends Error {
  constructor(title: string, what: string, why: string) {
    super(`${title} refused ${what}: ${why}`)
    this.name = 'VmmRefused'
  }
}

/** Nobody answers. */
export class VmmAbsent extends Error {
  constructor(title: string, what: string, options?: ErrorOptions) {
    super(`${title} does not answer: ${what} was not done`, options)
    this.name = 'VmmAbsent'
  }
}
