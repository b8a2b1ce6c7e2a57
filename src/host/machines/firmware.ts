// UEFI for a machine: the shared code image, and the machine's own copy of the variables (Debian's ovmf package).

import { chown, copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Owner } from './disk-files.ts'
import { type Firmware, machineFiles } from './plan.ts'
import type { VmiSpec } from './vmi.ts'

const ovmf = '/usr/share/OVMF'

/** undefined for a BIOS machine, which is the default. */
export async function prepareFirmware(
  spec: VmiSpec,
  directory: string,
  owner: Owner | undefined,
  resuming: boolean,
): Promise<Firmware | undefined> {
  const efi = spec.domain.firmware?.bootloader?.efi
  if (!efi) return undefined
  // KubeVirt: Secure Boot is on unless it is switched off, and it needs System Management Mode.
  const secure = efi.secureBoot !== false
  const [code, vars] = secure
    ? ['OVMF_CODE_4M.secboot.fd', 'OVMF_VARS_4M.ms.fd']
    : ['OVMF_CODE_4M.fd', 'OVMF_VARS_4M.fd']
  const firmware = { code: join(ovmf, code), vars: machineFiles.nvram, secure }
  if (resuming) return firmware
  const copy = join(directory, machineFiles.nvram)
  try {
    await copyFile(join(ovmf, vars), copy)
  } catch (error) {
    throw new Error(`cannot prepare UEFI: ${(error as Error).message}; is the package ovmf installed?`, {
      cause: error,
    })
  }
  if (owner) await chown(copy, owner.uid, owner.gid)
  return firmware
}
