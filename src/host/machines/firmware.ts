// UEFI for a machine: the shared code image, and the machine's own copy of the variables (Debian's ovmf package).

import { existsSync } from 'node:fs'
import { chown, copyFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { StoredObject } from '../../api/meta.ts'
import type { StatePaths } from '../state.ts'
import { giveTo, type Owner, openDisk } from './disk-files.ts'
import { stateDirectory } from './persistent-state.ts'
import { type Firmware, machineFiles } from './plan.ts'
import { specOf } from './vmi.ts'

const ovmf = '/usr/share/OVMF'

export interface PreparedFirmware extends Firmware {
  /** The variables, open: the file is none of the machine's directory. */
  file?: number
}

/** undefined for a BIOS machine, which is the default. */
export async function prepareFirmware(
  rooms: { paths: Pick<StatePaths, 'persistent'>; user?: Owner },
  object: StoredObject,
  directory: string,
  resuming: boolean,
): Promise<PreparedFirmware | undefined> {
  const efi = specOf(object).domain.firmware?.bootloader?.efi
  if (!efi) return undefined
  // KubeVirt: Secure Boot is on unless it is switched off, and it needs System Management Mode.
  const secure = efi.secureBoot !== false
  const [code, template] = secure
    ? ['OVMF_CODE_4M.secboot.fd', 'OVMF_VARS_4M.ms.fd']
    : ['OVMF_CODE_4M.fd', 'OVMF_VARS_4M.fd']
  const firmware = { code: join(ovmf, code), vars: machineFiles.nvram, secure }
  if (efi.persistent) {
    const path = join(stateDirectory(rooms.paths, object), machineFiles.nvram)
    if (!existsSync(path)) {
      await copyVariables(join(ovmf, template), `${path}.new`)
      await rename(`${path}.new`, path)
    }
    const file = openDisk(path, true)
    giveTo(file, true, rooms.user)
    return { ...firmware, file }
  }
  if (resuming) return firmware
  const copy = join(directory, machineFiles.nvram)
  await copyVariables(join(ovmf, template), copy)
  if (rooms.user) await chown(copy, rooms.user.uid, rooms.user.gid)
  return firmware
}

async function copyVariables(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to)
  } catch (error) {
    throw new Error(`cannot prepare UEFI: ${(error as Error).message}; is the package ovmf installed?`, {
      cause: error,
    })
  }
}
