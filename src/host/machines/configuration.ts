// What an administrator allows machines to have of this machine: the KubeVirt object's configuration (KubeVirt 1.9).

import { isApiError } from '../../api/errors.ts'
import type { Client } from '../../client/client.ts'
import { featureGates } from '../../kinds/kubevirt/feature-gates.ts'

export interface PermittedDevice {
  resourceName: string
  /** "10DE:1EB8": vendor and product of a PCI device. */
  pciVendorSelector?: string
  /** Name of a type of mediated devices: "GRID T4-1Q". */
  mdevNameSelector?: string
}

export interface Configuration {
  featureGates: string[]
  permitted: PermittedDevice[]
}

export async function readConfiguration(client: Client): Promise<Configuration> {
  const ref = { group: 'kubevirt.io', version: 'v1', resource: 'kubevirts' }
  const found = await client.list(ref).catch((error) => {
    if (isApiError(error, 'NotFound')) return { items: [] }
    throw error
  })
  const configuration = found.items[0]?.spec?.configuration
  const { pciHostDevices, mediatedDevices } = configuration?.permittedHostDevices ?? {}
  return {
    featureGates: featureGates(found.items[0]),
    permitted: [pciHostDevices, mediatedDevices].flatMap((list) => (Array.isArray(list) ? list : [])),
  }
}
