// Whether a machine can move to another QEMU, and what its status says of its migrations. Pure. Conditions, reasons and
// texts: KubeVirt 1.9 (pkg/virt-handler/vm.go). Both QEMUs are on this machine, so that neither a claim that only one
// machine may use nor an address that belongs to it stands in the way.

import type { StoredObject } from '../../api/meta.ts'
import type { Migration } from './machine.ts'
import type { StartedMachine } from './record.ts'
import { specOf } from './vmi.ts'

interface Obstacle {
  reason: string
  message: string
}

/** What QEMU cannot hand over, or another process keeps for it. */
export function obstacle(object: StoredObject, started: StartedMachine): Obstacle | undefined {
  const { domain } = specOf(object)
  const devices: Record<string, any> = domain.devices ?? {}
  const [further] = [...(started.secondaries ?? []), ...(started.plugged?.cards ?? [])]
  if (further)
    return {
      reason: 'InterfaceNotLiveMigratable',
      message: `cannot migrate VMI: interface ${further.name} is not on the pod network`,
    }
  if (devices.hostDevices?.length)
    return {
      reason: 'HostDeviceNotLiveMigratable',
      message: 'VMI specifies non-migratable generic PCI host device',
    }
  if (devices.gpus?.length)
    return { reason: 'HostDeviceNotLiveMigratable', message: 'VMI specifies non-migratable GPU device' }
  if (devices.filesystems?.length) return { reason: 'VirtIOFSNotLiveMigratable', message: 'VMI uses virtiofs' }
  if (devices.tpm && devices.tpm.enabled !== false)
    return { reason: 'NotMigratable', message: 'cannot migrate VMI: the state of its TPM cannot be handed over' }
  return undefined
}

export const migratableCondition = (object: StoredObject, started: StartedMachine) => {
  const found = obstacle(object, started)
  return { type: 'LiveMigratable', status: found ? ('False' as const) : ('True' as const), ...found }
}

/** What the API asks for stays; what became of it is laid over it. */
export function migrationStatus(old: Record<string, any>, migration: Migration | undefined): Record<string, unknown> {
  const asked = old.migrationState
  if (!asked) return {}
  if (!migration || migration.uid !== asked.migrationUid) return { migrationState: asked }
  return { migrationState: { ...asked, ...migration.told } }
}
