// The gates that an administrator opens, and what is refused as long as they are closed. Texts: KubeVirt 1.9
// (pkg/storage/admitters, pkg/virt-api/webhooks). Its gate GPU has gone: devices.gpus need only be permitted.

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { invalidValue } from '../../api/walk/rules.ts'

export type Gate = 'HostDisk' | 'HostDevices'

export function featureGates(kubevirt: ApiObject | undefined): string[] {
  const gates = kubevirt?.spec?.configuration?.developerConfiguration?.featureGates
  return Array.isArray(gates) ? gates.map(String) : []
}

/** What of an instance's spec needs a gate, with the error should that be closed. */
export function gatesNeeded(spec: any, field: string): { gate: Gate; error: FieldError }[] {
  const needed: { gate: Gate; error: FieldError }[] = (spec?.volumes ?? []).flatMap((volume: any, index: number) =>
    volume?.hostDisk
      ? {
          gate: 'HostDisk',
          error: invalidValue(`${field}.volumes[${index}]`, volume.name, 'HostDisk feature gate is not enabled'),
        }
      : [],
  )
  const devices: any[] = spec?.domain?.devices?.hostDevices ?? []
  if (devices.length) {
    const at = `${field}.domain.devices.hostDevices`
    const names = devices.map((device) => device?.name).join(', ')
    const text = 'Host Devices feature gate is not enabled in kubevirt-config'
    needed.push({ gate: 'HostDevices', error: invalidValue(at, names, text) })
  }
  return needed
}
