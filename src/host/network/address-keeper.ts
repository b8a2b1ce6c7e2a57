// A VM keeps its address until nothing of its name is left in the API: neither the VirtualMachine nor an instance.

import type { ResourceRef, StoredObject } from '../../api/meta.ts'
import { objectKey } from '../../api/meta.ts'
import type { Logger } from '../../base/log.ts'
import type { InformerFactory } from '../../client/informer.ts'
import type { Network } from './network.ts'

const resources = ['virtualmachines', 'virtualmachineinstances']

export interface AddressKeeperOptions {
  informers: InformerFactory
  network: Pick<Network, 'releaseAddress'> & { reservedAddresses(): string[] }
  log: Logger
}

/** Gives back what nobody owns: now, for deletes that nobody saw, and at each delete. */
export async function keepAddresses({ informers, network, log }: AddressKeeperOptions): Promise<void> {
  const owners = resources.map((resource) =>
    informers.informer({ group: 'kubevirt.io', version: 'v1', resource } satisfies ResourceRef),
  )
  async function release(key: string): Promise<void> {
    if (owners.some((informer) => informer.get(key))) return
    const [namespace = '', name = ''] = key.split('/')
    try {
      await network.releaseAddress(namespace, name)
    } catch (error) {
      log.warn('cannot give an address back', { machine: key, error })
    }
  }
  await Promise.all(owners.map((informer) => informer.synced()))
  for (const informer of owners) {
    informer.addHandler({ changed: () => {}, removed: (last: StoredObject) => void release(objectKey(last)) })
  }
  for (const key of network.reservedAddresses()) await release(key)
}
