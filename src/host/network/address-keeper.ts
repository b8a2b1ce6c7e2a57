// Gives the address of a VM back when neither the VirtualMachine nor an instance of that name is left in the API.

import type { StoredObject } from '../../api/meta.ts'
import { objectKey } from '../../api/meta.ts'
import type { Logger } from '../../base/log.ts'
import type { InformerFactory } from '../../client/informer.ts'
import type { RunningNetwork } from './routed-network.ts'

export interface AddressKeeper {
  stop(): void
}

export interface AddressKeeperOptions {
  informers: InformerFactory
  network: Pick<RunningNetwork, 'releaseAddress' | 'reservedAddresses'>
  log: Logger
}

export function addressKeeper({ informers, network, log }: AddressKeeperOptions): AddressKeeper {
  const machines = informers.informer({ group: 'kubevirt.io', version: 'v1', resource: 'virtualmachines' })
  const instances = informers.informer({ group: 'kubevirt.io', version: 'v1', resource: 'virtualmachineinstances' })
  let stopped = false

  function release(key: string): void {
    if (stopped || machines.get(key) || instances.get(key)) return
    const [namespace, name] = key.split('/') as [string, string]
    network.releaseAddress(namespace, name).catch((error: unknown) => {
      log.warn(`cannot give back the address of ${key}`, { error })
    })
  }

  const handler = { changed: () => {}, removed: (last: StoredObject) => release(objectKey(last)) }
  void Promise.all([machines.synced(), instances.synced()]).then(() => {
    for (const informer of [machines, instances]) informer.addHandler(handler)
    // What was deleted while nobody looked.
    for (const key of network.reservedAddresses()) release(key)
  })
  return {
    stop: () => {
      stopped = true
    },
  }
}
