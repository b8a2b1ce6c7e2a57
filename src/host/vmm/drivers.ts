// The VMMs that Tandem drives. Firecracker is none of them: a Pod's files reach its guest through a shared folder, and
// Firecracker has none.

import { cloudHypervisor } from './cloud-hypervisor/cloud-hypervisor.ts'
import type { VmmDriver } from './driver.ts'
import { qemu } from './qemu/qemu.ts'

export const vmmDrivers: readonly VmmDriver[] = [qemu, cloudHypervisor]

/** @throws Error */
export function vmmNamed(name: string): VmmDriver {
  const driver = vmmDrivers.find((one) => one.name === name)
  if (!driver) throw new Error(`there is no VMM ${name}: use one of ${vmmDrivers.map((one) => one.name).join(', ')}`)
  return driver
}
