// The host of this machine: its rooms are chosen, tied and started in the order in which they need each other.

import { cpus, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { realClock } from '../base/clock.ts'
import type { Logger } from '../base/log.ts'
import type { Config } from '../config.ts'
import { createAdvisories } from '../host/advisories/advisories.ts'
import { createEviction } from '../host/eviction/eviction.ts'
import { signalsOf } from '../host/eviction/signals.ts'
import { createOpenClaim } from '../host/exports/open-claim.ts'
import { createHost, machineHosting, podHosting } from '../host/host.ts'
import { createImagePoller } from '../host/imports/image-poller.ts'
import { createImporter } from '../host/imports/importer.ts'
import { runInThread } from '../host/imports/thread.ts'
import { createUploads } from '../host/imports/uploads.ts'
import { createMachines } from '../host/machines/machines.ts'
import { keepPersistentStates } from '../host/machines/persistent-state.ts'
import { keepSavedStates } from '../host/machines/saved-keeper.ts'
import { keepSnapshots } from '../host/machines/snapshot-keeper.ts'
import { microvmHandler, microvmVerdict, writeRuntime } from '../host/microvm/handler.ts'
import { otherHandlers, otherVerdicts, writeOtherRuntimes } from '../host/microvm/other-vmm.ts'
import { keepTemplates } from '../host/microvm/template-keeper.ts'
import { keepAddresses } from '../host/network/address-keeper.ts'
import { createNetwork } from '../host/network/routed-network.ts'
import { createNodeAgent, machineAddress } from '../host/node.ts'
import { createPods } from '../host/pods/pods.ts'
import { canRun, createClassKeeper } from '../host/pods/runtimes/class-keeper.ts'
import { createReadiness } from '../host/pods/runtimes/readiness.ts'
import { endPods, machineGoesDown } from '../host/shutdown.ts'
import type { StatePaths } from '../host/state.ts'
import { createStaticPods } from '../host/static-pods.ts'
import { createSnapshotStore } from '../host/volume-snapshots/snapshot-store.ts'
import { keepVolumeSnapshots } from '../host/volume-snapshots/volume-snapshot-keeper.ts'
import { createVolumes } from '../host/volumes/host-volumes.ts'
import { serverVersion } from '../server/health.ts'
import { servicePort } from './addresses.ts'
import { cgroupOf, home, type openEngine, pauseImage, providePauseImage, weighWorkloads } from './engine.ts'
import { openFront } from './front.ts'
import { makeRoom } from './make-room.ts'
import { measures } from './measures.ts'
import { nodeParts } from './node-parts.ts'
import type { Platform } from './platform.ts'
import type { Settings } from './settings.ts'

const lastWordsMs = 500

interface HostParts {
  config: Config
  paths: StatePaths
  settings: Settings
  platform: Platform
  engine: ReturnType<typeof openEngine>
  log: Logger
}

export async function startHost({ config, paths, settings, platform, engine, log }: HostParts) {
  const { client, informers, http } = platform
  const { containerd, images } = engine
  const { instance, nodeName, clusterDomain } = config
  const record = platform.recorder('kubelet')
  const facts = { name: nodeName, addresses: [machineAddress()], cpu: cpus().length, memoryBytes: totalmem() }
  weighWorkloads(instance, facts.cpu, log)
  const report = () => void agent.report().catch((error) => log.warn('cannot report this node', { error }))
  const advisories = createAdvisories({ clock: realClock, log: log.child('advisories'), changed: report })
  // The programs are asked while the rest starts.
  const versionsKnown = advisories.start()
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
  const microvms = { run: paths.microvm, home: join(home, '.cache/microvm') }
  writeRuntime({ ...microvms, accelerator: 'tcg' })
  writeOtherRuntimes(paths.microvm)
  const readiness = createReadiness({
    file: join(paths.root, 'runtimes.json'),
    directory: join(dirname(paths.pid), 'try'),
    cgroup: cgroupOf(instance),
    selfTold: new Map([[microvmHandler, microvmVerdict], ...otherVerdicts(() => machines.proof())]),
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
    machineHandlers: new Set([microvmHandler, ...Object.keys(otherHandlers)]),
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
  const volumeSnapshotStore = createSnapshotStore(paths.volumeSnapshots)
  const importTools = {
    snapshots: volumeSnapshotStore,
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
  void machines.proof().then(({ kind }) => writeRuntime({ ...microvms, accelerator: kind }))
  const templates = keepTemplates({ ...microvms, log: log.child('microvm') })
  const snapshots = await keepSnapshots({
    client,
    informers,
    paths,
    volumes,
    machines,
    log: log.child('snapshots'),
  })
  const volumeSnapshots = await keepVolumeSnapshots({
    client,
    informers,
    paths,
    store: volumeSnapshotStore,
    volumes,
    machines,
    record: platform.recorder('csi-snapshotter'),
    log: log.child('volume-snapshots'),
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
    changed: report,
    clock: realClock,
    log: log.child('eviction'),
  })
  await versionsKnown
  const agent = createNodeAgent({
    client,
    clock: realClock,
    log: log.child('node'),
    nodeName,
    stateDir: paths.root,
    podCidr: network.podCidr,
    ...(config.maxPods && { maxPods: config.maxPods }),
    version: serverVersion.gitVersion,
    runtimeVersion: () => `containerd://${runtime.runtimeVersion}`,
    conditions: () => [pods, machines, eviction, advisories].flatMap((part) => part.conditions()),
    runtimeHandlers: () =>
      readiness.handlers().filter((handler) => canRun(readiness.look(handler)?.ready ?? 'Unknown')),
    images: async () => (await images.list()).map(({ repoTags, sizeBytes }) => ({ names: repoTags, sizeBytes })),
  })
  await agent.start()
  await classes.start()
  readiness.onChange(() => {
    classes.refresh()
    report()
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
      advisories.stop()
      classes.stop()
      await templates.stop()
      await snapshots.stop()
      await volumeSnapshots.stop()
      await poller.stop()
      await importer.stop()
      await host.stop()
      await front.stop()
      await network.stop()
    },
  }
}
