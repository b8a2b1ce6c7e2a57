// Tandem on this machine: the platform, and the host that makes its objects real. `tandem serve` runs it.

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, totalmem, uptime } from 'node:os'
import { dirname, join } from 'node:path'
import { realClock } from '../base/clock.ts'
import type { Logger } from '../base/log.ts'
import type { Client } from '../client/client.ts'
import type { Config } from '../config.ts'
import { createEviction } from '../host/eviction/eviction.ts'
import { signalsOf } from '../host/eviction/signals.ts'
import { createOpenClaim } from '../host/exports/open-claim.ts'
import { createHost, machineHosting, podHosting } from '../host/host.ts'
import { createImagePoller } from '../host/imports/image-poller.ts'
import { createImporter } from '../host/imports/importer.ts'
import { runInThread } from '../host/imports/thread.ts'
import { createUploads } from '../host/imports/uploads.ts'
import { holdLock } from '../host/lock.ts'
import { createMachines, type Machines } from '../host/machines/machines.ts'
import { keepPersistentStates } from '../host/machines/persistent-state.ts'
import { keepSavedStates } from '../host/machines/saved-keeper.ts'
import { keepSnapshots } from '../host/machines/snapshot-keeper.ts'
import { microvmHandler, microvmVerdict, writeRuntime } from '../host/microvm/handler.ts'
import { keepAddresses } from '../host/network/address-keeper.ts'
import { createNetwork } from '../host/network/routed-network.ts'
import { createNodeAgent, machineAddress, maxPods } from '../host/node.ts'
import { createPods, type Pods } from '../host/pods/pods.ts'
import { canRun, createClassKeeper } from '../host/pods/runtimes/class-keeper.ts'
import { createReadiness } from '../host/pods/runtimes/readiness.ts'
import { endPods, machineGoesDown } from '../host/shutdown.ts'
import { type StatePaths, statePaths } from '../host/state.ts'
import { createStaticPods } from '../host/static-pods.ts'
import { nodeMetrics, podMetrics } from '../host/stats/measured.ts'
import { createNodePages } from '../host/stats/node-pages.ts'
import { createUsage, type Measurable } from '../host/stats/usage.ts'
import { createVolumes } from '../host/volumes/host-volumes.ts'
import { launcherName } from '../kinds/kubevirt/launcher-pod.ts'
import { kubeconfig, openPki, type Pki } from '../server/auth/pki.ts'
import { serverVersion } from '../server/health.ts'
import { openSqliteStore } from '../store/sqlite.ts'
import { openAccess } from './access.ts'
import { cgroupOf, home, openEngine, pauseImage, providePauseImage } from './engine.ts'
import { openFront } from './front.ts'
import { requireFree } from './listen-address.ts'
import { localVolumes } from './local-volumes.ts'
import { makeRoom } from './make-room.ts'
import { type NodeParts, type Platform, startPlatform } from './platform.ts'
import { loadSettings, type Settings } from './settings.ts'

export interface Daemon {
  /** Stops this process' work; containers and virtual machines run on. */
  stop(): Promise<void>
}

/** The port at which workloads reach the API, at the ClusterIP of the `kubernetes` Service. */
const servicePort = 443

const lastWordsMs = 500

export async function startDaemon(config: Config, log: Logger): Promise<Daemon> {
  const lock = await holdLock(config.instance, config.stateDir)
  await requireFree(config.listen)
  const paths = statePaths(config.stateDir, config.instance)
  mkdirSync(dirname(paths.pid), { recursive: true, mode: 0o711 })
  mkdirSync(paths.root, { recursive: true, mode: 0o711 })
  writeFileSync(paths.pid, `${process.pid}\n`)
  const settings = await loadSettings(config)
  const engine = openEngine(paths, config.instance)
  // The engine needs no API and the API no engine: they start side by side.
  const starting = engine.containerd.start()
  starting.catch(() => {})
  let host: Awaited<ReturnType<typeof startHost>> | undefined
  const platform = await openPlatform(config, paths, settings, () => host?.node, log)
  try {
    await starting
    host = await startHost({ config, paths, settings, platform, engine, log })
  } catch (error) {
    await platform.stop()
    throw error
  }
  return {
    async stop() {
      await host?.stop()
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

interface HostParts {
  config: Config
  paths: StatePaths
  settings: Settings
  platform: Platform
  engine: ReturnType<typeof openEngine>
  log: Logger
}

async function startHost({ config, paths, settings, platform, engine, log }: HostParts) {
  const { client, informers, http } = platform
  const { containerd, images } = engine
  const { instance, nodeName, clusterDomain } = config
  const record = platform.recorder('kubelet')
  const facts = { name: nodeName, addresses: [machineAddress()], cpu: cpus().length, memoryBytes: totalmem() }
  const network = createNetwork({
    instance,
    paths,
    podCidr: settings.podCidr,
    serviceCidr: settings.serviceCidr,
    clusterDomain,
    nodeName,
    informers,
    log: log.child('network'),
  })
  await Promise.all([network.start(), images.start(), providePauseImage(engine, paths)])
  await http.listenAlso(network.apiAddress, servicePort)
  const volumes = createVolumes({ paths, client, node: () => facts, log: log.child('volumes') })
  await volumes.start()
  writeRuntime({ run: paths.microvm, home: join(home, '.cache/microvm') })
  const readiness = createReadiness({
    file: join(paths.root, 'runtimes.json'),
    directory: join(dirname(paths.pid), 'try'),
    cgroup: cgroupOf(instance),
    selfTold: new Map([[microvmHandler, microvmVerdict]]),
  })
  const classes = createClassKeeper({
    client,
    informers,
    readiness,
    nodeName,
    clock: realClock,
    log: log.child('runtimes'),
  })
  const pods = createPods({
    paths,
    containerd,
    client,
    volumes,
    images,
    network,
    record,
    node: facts,
    clusterDomain,
    cgroupParent: cgroupOf(instance),
    prepareRuntime: readiness.prepare,
    machineHandlers: new Set([microvmHandler]),
    clock: realClock,
    log: log.child('pods'),
  })
  const machines = createMachines({
    paths,
    instance,
    nodeName,
    client,
    images,
    volumes,
    network,
    record: platform.recorder('virt-handler'),
    log: log.child('machines'),
  })
  await Promise.all([
    keepAddresses({ informers, network, log }),
    keepSavedStates({ informers, paths }),
    keepPersistentStates({ informers, paths }),
  ])
  const importTools = {
    client,
    informers,
    images,
    volumes,
    clusterDomain,
    architecture: { x64: 'amd64' }[process.arch as string] ?? process.arch,
    record: platform.recorder('import-controller'),
    clock: realClock,
    log: log.child('imports'),
  }
  const importer = createImporter({ ...importTools, paths, run: runInThread })
  const poller = createImagePoller(importTools)
  await Promise.all([importer.start(), poller.start()])
  const host = createHost({
    client,
    informers,
    clock: realClock,
    log: log.child('host'),
    nodeName,
    drivers: [podHosting(pods), machineHosting(machines)],
  })
  await host.start()
  const snapshots = await keepSnapshots({
    client,
    informers,
    paths,
    volumes,
    machines,
    log: log.child('snapshots'),
  })
  const runtime = await containerd.cri.version({})
  const front = await openFront(config, platform, log)
  const { usage, ...measured } = measures({ config, paths, pods, machines, client })
  const eviction = createEviction({
    pods: pods.objects,
    usage,
    localUsage: pods.localUsage,
    evict: pods.evict,
    signals: () => signalsOf(paths.root),
    makeRoom: () => makeRoom({ client, images, pods, needed: [pauseImage], log: log.child('eviction') }),
    changed: () => void agent.report().catch((error) => log.warn('cannot report this node', { error })),
    clock: realClock,
    log: log.child('eviction'),
  })
  const agent = createNodeAgent({
    client,
    clock: realClock,
    log: log.child('node'),
    nodeName,
    stateDir: paths.root,
    podCidr: network.podCidr,
    version: serverVersion.gitVersion,
    runtimeVersion: () => `containerd://${runtime.runtimeVersion}`,
    conditions: () => [...pods.conditions(), ...machines.conditions(), ...eviction.conditions()],
    runtimeHandlers: () =>
      readiness.handlers().filter((handler) => canRun(readiness.look(handler)?.ready ?? 'Unknown')),
    images: async () => (await images.list()).map(({ repoTags, sizeBytes }) => ({ names: repoTags, sizeBytes })),
  })
  await agent.start()
  await classes.start()
  readiness.onChange(() => {
    classes.refresh()
    void agent.report().catch((error) => log.warn('cannot report this node', { error }))
  })
  eviction.start()
  const staticPods = createStaticPods({
    directory: paths.manifests,
    nodeName,
    client,
    informers,
    clock: realClock,
    log: log.child('static-pods'),
  })
  staticPods.start()
  async function endWorkloads(): Promise<void> {
    const running = () => pods.measurables().map(({ uid }) => uid)
    await endPods({ pods: pods.objects, evict: pods.evict, running, clock: realClock, log })
    // What became of them is still on its way to the API.
    await realClock.sleep(lastWordsMs)
  }
  return {
    node: {
      ...nodeParts(pods, machines),
      ...measured,
      openClaim: createOpenClaim(volumes),
      upload: createUploads(importer),
    },
    async stop() {
      if (await machineGoesDown()) await endWorkloads()
      eviction.stop()
      staticPods.stop()
      agent.stop()
      classes.stop()
      await snapshots.stop()
      await poller.stop()
      await importer.stop()
      await host.stop()
      await front.stop()
      await network.stop()
    },
  }
}

/** What the API asks of this node beside its objects. */
const nodeParts = (pods: Pods, machines: Machines): NodeParts => ({
  podLogs: pods.podLogs,
  podExec: pods.podExec,
  podAttach: pods.podAttach,
  podPortForward: pods.podPortForward,
  machineLogs: machines.machineLogs,
  machineExec: machines.machineExec,
  machineAttach: machines.machineAttach,
  machineConsole: machines.machineConsole,
  machineVnc: machines.machineVnc,
  machineUsb: machines.machineUsb,
  machinePortForward: machines.machinePortForward,
  pause: machines.pause,
  unpause: machines.unpause,
  reset: machines.reset,
  softReboot: machines.softReboot,
  guestAgent: machines.guestAgent,
  freeze: machines.freeze,
  unfreeze: machines.unfreeze,
  isFrozen: machines.isFrozen,
  screenshot: machines.screenshot,
})

interface MeasuredParts {
  config: Config
  paths: StatePaths
  pods: Pods
  machines: Machines
  client: Client
}

/** What the node says of its use: metrics.k8s.io, and the pages of a kubelet. */
function measures({ config, paths, pods, machines, client }: MeasuredParts) {
  const { nodeName } = config
  const startedAt = Date.now() - uptime() * 1000
  const guests = (): Measurable[] =>
    machines.running().map(({ pid, ...rest }) => ({
      ...rest,
      // As the Pod that those who read measurements know it by.
      name: launcherName(rest.name, rest.uid),
      kind: 'VirtualMachineInstance',
      labels: { 'kubevirt.io': 'virt-launcher', 'kubevirt.io/domain': rest.name, 'vm.kubevirt.io/name': rest.name },
      startedAt,
      parts: [{ name: 'compute', id: rest.uid, source: { pid }, startedAt }],
    }))
  const usage = createUsage({ measurables: () => [...pods.measurables(), ...guests()], clock: realClock })
  const labels = async () =>
    (await client.get({ group: '', version: 'v1', resource: 'nodes' }, nodeName)).metadata.labels ?? {}
  const parts: Pick<NodeParts, 'measured' | 'pages'> = {
    measured: {
      nodes: async () => [nodeMetrics(await usage(), { name: nodeName, labels: await labels() })],
      pods: async () => podMetrics(await usage()),
    },
    pages: createNodePages({
      nodeName,
      stateDir: paths.root,
      startedAt,
      usage,
      pods: pods.objects,
      logs: pods.podLogs,
      settings: { clusterDomain: config.clusterDomain, staticPodPath: paths.manifests, maxPods },
    }),
  }
  return { ...parts, usage }
}

/** The n-th address of a range. */
export function addressIn(cidr: string, n: number): string {
  const parts = cidr.split('/')[0]!.split('.').map(Number)
  const number = parts.reduce((sum, part) => sum * 256 + part, 0) + n
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.')
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
