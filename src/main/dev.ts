// `npm run dev`: the real API server and controllers over a store in memory, with a host that only pretends.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { realClock } from '../base/clock.ts'
import type { Logger } from '../base/log.ts'
import { defaults } from '../config.ts'
import { createFakeDriver } from '../host/fake.ts'
import { createHost, machineHosting, podHosting } from '../host/host.ts'
import { createNodeAgent } from '../host/node.ts'
import { kubeconfig, openPki } from '../server/auth/pki.ts'
import { serverVersion } from '../server/health.ts'
import { createMemoryStore } from '../store/memory.ts'
import { openSqliteStore } from '../store/sqlite.ts'
import { startPlatform } from './platform.ts'

export interface DevOptions {
  listen: { host: string; port: number }
  /** A durable store instead of one in memory. */
  store?: string
  /** Where to write the kubeconfig; default is a temporary folder. */
  kubeconfig?: string
}

const nodeName = 'dev'

export async function startDev(
  options: DevOptions,
  log: Logger,
): Promise<{ kubeconfig: string; stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-dev-'))
  const { host: address, port } = options.listen
  const pki = await openPki({ directory: join(folder, 'pki'), names: [address] })
  const platform = await startPlatform({
    store: options.store ? await openSqliteStore(options.store) : createMemoryStore(),
    pki,
    serviceCidr: '10.43.0.0/16',
    clusterDomain: defaults.clusterDomain,
    listen: options.listen,
    api: { clusterIP: '10.43.0.1', endpointIP: '10.43.0.1', port },
    volumes: { dir: join(folder, 'volumes'), create: async () => {}, remove: async () => {} },
    node: () => undefined,
    nodeName,
    log,
  })
  const { client, informers } = platform
  const drivers = [
    podHosting(createFakeDriver('Pod', nodeName)),
    machineHosting(createFakeDriver('VirtualMachineInstance', nodeName)),
  ]
  const host = createHost({ client, informers, clock: realClock, log, nodeName, drivers })
  await host.start()
  const agent = createNodeAgent({
    client,
    clock: realClock,
    log,
    nodeName,
    stateDir: folder,
    podCidr: '10.42.0.0/16',
    version: serverVersion.gitVersion,
    runtimeVersion: () => 'fake://0',
    conditions: () => [],
  })
  await agent.start()
  const path = options.kubeconfig ?? join(folder, 'kubeconfig')
  const server = `https://${address}:${port}`
  writeFileSync(path, kubeconfig({ server, caCert: pki.caCert, clientCert: pki.adminCert, clientKey: pki.adminKey }), {
    mode: 0o600,
  })
  return {
    kubeconfig: path,
    async stop() {
      agent.stop()
      await host.stop()
      await platform.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
