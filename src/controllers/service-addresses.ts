// IPAddresses tell what the allocation of ClusterIPs has done: each ClusterIP is an IPAddress that names its Service.
// Mirrors registry/core/service/ipallocator (1.36).

import { isApiError } from '../api/errors.ts'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { type ControllerDefinition, reconcileOn } from './controller.ts'
import { ipAddresses, services } from './resources.ts'

const managedBy = 'ipaddress.kubernetes.io/managed-by'
const allocator = 'ipallocator.k8s.io'

const addressesOf = (service: StoredObject): string[] =>
  ((service.spec?.clusterIPs ?? [service.spec?.clusterIP]) as (string | undefined)[]).filter(
    (address): address is string => Boolean(address) && address !== 'None',
  )

/** The object that says whose an address is. Pure. */
export const addressObject = (address: string, service: StoredObject): ApiObject => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'IPAddress',
  metadata: { name: address, labels: { 'ipaddress.kubernetes.io/ip-family': 'IPv4', [managedBy]: allocator } },
  spec: {
    parentRef: {
      group: '',
      resource: 'services',
      namespace: service.metadata.namespace,
      name: service.metadata.name,
    },
  },
})

export const serviceAddresses: ControllerDefinition = {
  name: 'service-addresses',
  start(context) {
    const { client, informers } = context
    const known = informers.informer(services)
    const written = informers.informer(ipAddresses)
    const byAddress = 'service.address'
    known.addIndex(byAddress, addressesOf)

    const gone = (error: unknown) => {
      if (!isApiError(error, 'NotFound')) throw error
    }

    async function sync(address: string): Promise<ReconcileResult | undefined> {
      const owner = known.byIndex(byAddress, address)[0]
      const existing = written.get(address)
      const parent = existing?.spec?.parentRef
      const isOurs = existing?.metadata.labels?.[managedBy] === allocator
      const isRight = owner && parent?.namespace === owner.metadata.namespace && parent?.name === owner.metadata.name
      if (existing && !isRight && isOurs) {
        const { uid } = existing.metadata
        await client.delete(ipAddresses, address, undefined, { preconditions: { uid } }).catch(gone)
      }
      if (!owner || (existing && (isRight || !isOurs))) return undefined
      await client.create(ipAddresses, addressObject(address, owner)).catch((error) => {
        if (!isApiError(error, 'AlreadyExists')) throw error
      })
      return undefined
    }

    const watched = [
      { ref: services, keys: addressesOf },
      { ref: ipAddresses, keys: ({ metadata }: StoredObject) => [metadata.name] },
    ]
    return reconcileOn(context, 'service-addresses', watched, sync)
  },
}
