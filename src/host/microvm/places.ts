// Where a micro-VM's files are. All of it is below /run: what survives a reboot of this machine is nothing of these.

import { join } from 'node:path'

export interface Settings {
  /** Folder of all micro-VMs of this Tandem. */
  run: string
  /** Folder of the parts, of the packages that they are made of, and of templates. */
  home: string
  /** Proved by Tandem, which says so in the script that calls this. */
  accelerator: 'kvm' | 'tcg'
}

export const podFolder = ({ run }: Pick<Settings, 'run'>, sandboxId: string): string => join(run, 'pods', sandboxId)

/** By container: a link to its Pod's folder, for those that only know its id. */
export const containerLink = ({ run }: Pick<Settings, 'run'>, id: string): string => join(run, 'containers', id)

/** What Tandem is told of machines that were started: a file for each sandbox (template-keeper.ts). */
export const askedFolder = ({ run }: Pick<Settings, 'run'>): string => join(run, 'asked')

/** Written in a sandbox whose machine could not go on from its template. */
export const failureNote = (settings: Pick<Settings, 'run'>, sandboxId: string): string =>
  join(podFolder(settings, sandboxId), 'vm/template-failed')

/**
 * A guest may be hostile, kernel and all, so nobody here follows a path that it could have changed: it sees `tree`, where
 * this machine writes, as `shared`, which is read-only but for the mounts of the containers' files and for `boot`.
 */
export const treeFolder = (folder: string): string => join(folder, 'tree')
export const sharedFolder = (folder: string): string => join(folder, 'shared')
export const containerFolder = (folder: string, id: string): string => join(folder, 'tree/c', id)
/** Where a container's files are mounted for the guest. */
export const mountFolder = (folder: string, id: string): string => join(folder, 'shared/c', id)
/** What the guest is told before it starts; then what it says, in files directly below: small, and never trusted. */
export const bootFolder = (folder: string): string => join(folder, 'shared/boot')

/** Each QEMU's user is claimed by a folder that only one can make. */
export const userFolder = ({ run }: Pick<Settings, 'run'>, user: number): string => join(run, 'users', `${user}`)
export const firstUser = 1_090_000
export const userCount = 10_000
/** Owns nothing but the memory of a template that is being made, in which nothing of a Pod is. */
export const bakingUser = firstUser + userCount
