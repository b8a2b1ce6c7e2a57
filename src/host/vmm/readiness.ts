// Whether a VMM can run guests here, and if not, what to do: its program must be there, be new enough, and KVM must have
// been proved where it needs that (machines/accelerator.ts).

import { existsSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../exec.ts'
import type { Accelerator } from '../machines/accelerator.ts'
import type { VmmDriver } from './driver.ts'

/** A micro-VM's own root shows it /usr of this machine and nothing else. */
const shown = '/usr/'
const directories = ['/usr/local/bin', '/usr/bin']

export function vmmProgram({ programs }: VmmDriver): string | undefined {
  const paths = directories.flatMap((directory) => programs.map((name) => join(directory, name)))
  return paths.find((path) => existsSync(path) && realpathSync(path).startsWith(shown))
}

export interface FoundVmm {
  path: string
  /** "52.0"; empty when it does not say. */
  version: string
}

/** Asks the program itself. Undefined: there is none. */
export async function findVmm(driver: VmmDriver): Promise<FoundVmm | undefined> {
  const path = vmmProgram(driver)
  if (!path) return undefined
  const { stdout } = await run([path, '--version'], { allowFailure: true, timeoutMs: 10_000 })
  return { path, version: versionIn(stdout) }
}

/** "cloud-hypervisor v52.0", "QEMU emulator version 7.2.22 (Debian …)". */
export const versionIn = (text: string): string => /\bv(?:ersion )?(\d+(?:\.\d+)*)/.exec(text)?.[1] ?? ''

export interface VmmVerdict {
  ready: boolean
  reason: string
  /** What its guests run with; absent when it is not ready. */
  accelerator?: 'kvm' | 'tcg'
}

/** Pure. `proved`: not asked for where there is no program. */
export function vmmVerdict(driver: VmmDriver, found: FoundVmm | undefined, proved?: Accelerator): VmmVerdict {
  const no = (reason: string): VmmVerdict => ({ ready: false, reason })
  const { oldest, remedy, programs, title, can } = driver
  if (!found) return no(`${programs[0]} is missing: ${remedy}`)
  if (oldest && !(Number.parseInt(found.version, 10) >= oldest.version))
    return no(
      `${found.path} is version ${found.version || 'unknown'}, and ${oldest.version} is the oldest that is used, since ${oldest.because}: ${remedy}`,
    )
  const accelerator = proved?.kind ?? 'tcg'
  if (accelerator !== 'kvm' && !can.emulate)
    return no(`${title} needs hardware virtualization (KVM) that works: ${proved?.message ?? 'it was not proved yet'}`)
  const how = accelerator === 'kvm' ? 'in KVM' : 'emulated'
  return { ready: true, reason: `${title} ${found.version} for each Pod, ${how}`, accelerator }
}
