// A machine's TPM 2.0: swtpm as a process of the machine's own. Models as KubeVirt has them (1.9,
// virtwrap/converter/compute/tpm.go): tpm-tis, and tpm-crb where the state is kept over restarts.

import { closeSync } from 'node:fs'
import { join } from 'node:path'
import type { StoredObject } from '../../api/meta.ts'
import type { StatePaths } from '../state.ts'
import { type CompanionRooms, startCompanion } from './companion.ts'
import type { Machine } from './machine.ts'
import { option } from './option.ts'
import { openStateDirectory, stateDirectory } from './persistent-state.ts'
import { specOf, type VmiSpec } from './vmi.ts'

const socket = 'tpm.sock'

export const tpmOf = (spec: VmiSpec): { persistent?: boolean } | undefined => {
  const { tpm } = spec.domain.devices ?? {}
  return tpm && tpm.enabled !== false ? tpm : undefined
}

export async function startTpm(
  rooms: CompanionRooms & { paths: StatePaths },
  machine: Machine,
  object: StoredObject,
): Promise<void> {
  const tpm = tpmOf(specOf(object))
  if (!tpm) return
  const path = tpm.persistent ? join(stateDirectory(rooms.paths, object), 'tpm') : join(machine.directory, 'tpm')
  const directory = openStateDirectory(path, rooms.user)
  try {
    await startCompanion(rooms, machine, {
      name: 'swtpm',
      program: 'swtpm',
      package: 'swtpm',
      args: [
        ...['socket', '--tpm2', '--terminate'],
        // Open already: of the state directory it sees nothing.
        ...['--tpmstate', 'dir=/proc/self/fd/3,mode=0600'],
        ...['--ctrl', `type=unixio,path=${socket},mode=0600`],
      ],
      socket,
      files: [directory],
    })
  } finally {
    closeSync(directory)
  }
}

export function tpmArgs(spec: VmiSpec): string[] {
  const tpm = tpmOf(spec)
  if (!tpm) return []
  return [
    ...['-chardev', option('socket', { id: 'tpm-channel', path: socket })],
    ...['-tpmdev', option('emulator', { id: 'tpm0', chardev: 'tpm-channel' })],
    ...['-device', option(tpm.persistent ? 'tpm-crb' : 'tpm-tis', { tpmdev: 'tpm0' })],
  ]
}
