// HTTP from outside: Ingresses and Gateways, at one front door.

import { realClock } from '../base/clock.ts'
import type { Logger } from '../base/log.ts'
import type { Config } from '../config.ts'
import { createGateways } from '../host/gateway/gateways.ts'
import { createBackends } from '../host/ingress/backends.ts'
import { createFrontDoor } from '../host/ingress/front-door.ts'
import { createIngress } from '../host/ingress/ingress.ts'
import { machineAddress } from '../host/node.ts'
import type { Platform } from './platform.ts'

export interface Front {
  stop(): Promise<void>
}

/** Without an address both kinds of objects are stored, and nobody serves them. */
export async function openFront({ ingress: setting }: Config, platform: Platform, log: Logger): Promise<Front> {
  if (setting === 'off') return { stop: async () => {} }
  const { client, informers, certificate } = platform
  const address = { host: machineAddress(), httpPort: 80, httpsPort: 443, ...setting }
  const door = createFrontDoor({ host: address.host, certificate })
  const parts = { client, informers, address, door, backends: createBackends(informers) }
  const ingress = createIngress({ ...parts, log: log.child('ingress') })
  const gateways = createGateways({ ...parts, clock: realClock, log: log.child('gateways') })
  await Promise.all([ingress.start(), gateways.start()])
  return {
    async stop() {
      await Promise.all([ingress.stop(), gateways.stop()])
      await door.close()
    },
  }
}
