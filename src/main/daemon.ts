// Tandem on this machine: the platform, and the host that makes its objects real. `tandem serve` runs it.

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Logger } from '../base/log.ts'
import { type Config, ownerPath, requireOwnInstance } from '../config.ts'
import { writeLayerLimits } from '../host/images/layer-limits.ts'
import { holdLock } from '../host/lock.ts'
import { machineAddress } from '../host/node.ts'
import { type StatePaths, statePaths } from '../host/state.ts'
import { kubeconfig, openPki, type Pki } from '../server/auth/pki.ts'
import { openSqliteStore } from '../store/sqlite.ts'
import { openAccess } from './access.ts'
import { addressIn, servicePort } from './addresses.ts'
import { openEngine } from './engine.ts'
import { requireFree } from './listen-address.ts'
import { localVolumes } from './local-volumes.ts'
import { type NodeParts, type Platform, startPlatform } from './platform.ts'
import { loadSettings, type Settings } from './settings.ts'
import { startHost } from './start-host.ts'

export interface Daemon {
  /** Stops this process' work; containers and virtual machines run on. */
  stop(): Promise<void>
}

export async function startDaemon(config: Config, log: Logger): Promise<Daemon> {
  requireOwnInstance(config)
  const lock = await holdLock(config.instance, config.stateDir)
  await requireFree(config.listen)
  const paths = statePaths(config.stateDir, config.instance)
  mkdirSync(dirname(paths.pid), { recursive: true, mode: 0o711 })
  mkdirSync(paths.root, { recursive: true, mode: 0o711 })
  writeFileSync(ownerPath(config.instance), resolve(config.stateDir))
  writeFileSync(paths.pid, `${process.pid}\n`)
  const settings = await loadSettings(config)
  writeLayerLimits(paths.root, config.layerLimits ?? {})
  const engine = openEngine(paths, config.instance)
  // The engine needs no API and the API no engine: they start side by side.
  const starting = engine.containerd.start()
  starting.catch(() => {})
  let host: Awaited<ReturnType<typeof startHost>> | undefined
  let platform: Platform | undefined
  try {
    platform = await openPlatform(config, paths, settings, () => host?.node, log)
    await starting
    host = await startHost({ config, paths, settings, platform, engine, log })
  } catch (error) {
    await platform?.stop()
    await engine.containerd.withdraw()
    rmSync(paths.pid, { force: true })
    throw error
  }
  return {
    async stop() {
      await host.stop()
      await platform.stop()
      engine.containerd.release()
      rmSync(paths.pid, { force: true })
      lock.close()
    },
  }
}

async function openPlatform(
  config: Config,
  paths: StatePaths,
  settings: Settings,
  node: () => NodeParts | undefined,
  log: Logger,
): Promise<Platform> {
  const apiAddress = addressIn(settings.serviceCidr, 1)
  const access = await openAccess({ ...config, auditLog: config.auditLog ?? paths.auditLog }, log.child('access'))
  const [pki, store] = await Promise.all([
    openPki({
      directory: paths.pki,
      names: [apiAddress, config.listen.host, machineAddress(), config.nodeName],
      clusterDomain: config.clusterDomain,
    }),
    openSqliteStore(paths.store),
  ])
  const platform = await startPlatform({
    store,
    pki,
    serviceCidr: settings.serviceCidr,
    balancerAddress: machineAddress(),
    dnsAddress: addressIn(settings.serviceCidr, 10),
    sctp: existsSync('/proc/net/sctp'),
    clusterDomain: config.clusterDomain,
    access,
    listen: config.listen,
    api: { clusterIP: apiAddress, endpointIP: apiAddress, port: servicePort },
    volumes: localVolumes(paths.volumes),
    node,
    waitsFor: () => (node() ? undefined : 'this node is still starting'),
    nodeName: config.nodeName,
    log,
  })
  writeKubeconfig(config, paths, pki)
  return {
    ...platform,
    async stop() {
      await platform.stop()
      await access.close()
    },
  }
}

function writeKubeconfig(config: Config, paths: StatePaths, pki: Pki): void {
  const { host, port } = config.listen
  // An address that means "all of them" is none to connect to.
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  const server = `https://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
  const text = kubeconfig({ server, caCert: pki.caCert, clientCert: pki.adminCert, clientKey: pki.adminKey })
  // On a full disk the old one must stay whole.
  if (existsSync(paths.kubeconfig) && readFileSync(paths.kubeconfig, 'utf8') === text) return
  writeFileSync(`${paths.kubeconfig}.new`, text, { mode: 0o600 })
  renameSync(`${paths.kubeconfig}.new`, paths.kubeconfig)
}
