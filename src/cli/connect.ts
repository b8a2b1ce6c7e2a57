// A client of the Tandem that lives in a state directory, by the kubeconfig that it wrote there.

import { existsSync, readFileSync } from 'node:fs'
import { type Client, createClient } from '../client/client.ts'
import { createHttpsTransport } from '../client/https.ts'
import { accessFromKubeconfig, type ServerAccess } from '../client/kubeconfig.ts'
import type { Transport } from '../client/transport.ts'
import type { Config } from '../config.ts'
import { CommandError } from './output.ts'
import { kubeconfigPath } from './process.ts'

export interface Connection {
  client: Client
  transport: Transport
  access: ServerAccess
  /** https://127.0.0.1:6443 */
  server: string
  close(): void
}

export function connect(config: Config): Connection {
  const path = kubeconfigPath(config)
  if (!existsSync(path)) {
    throw new CommandError(`Tandem was never started with ${config.stateDir}: run 'sudo ./tandem up' first`)
  }
  const access = accessFromKubeconfig(readFileSync(path, 'utf8'))
  const { transport, close } = createHttpsTransport(access)
  return { client: createClient(transport, { userAgent: 'tandem' }), transport, access, server: access.server, close }
}

/** True when the API answers that it is ready. */
export async function isReady({ transport }: Connection): Promise<boolean> {
  try {
    const answer = await transport({ method: 'GET', path: '/readyz', query: new URLSearchParams(), headers: {} })
    return answer.status === 200
  } catch {
    return false
  }
}
