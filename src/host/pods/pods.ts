// The driver of Pods: containers on containerd, through CRI. One worker per Pod does the work; this file knows them all
// and hands events of the runtime to whom they belong.

import type { ResourceRef, StoredObject } from '../../api/meta.ts'
import { realClock, type Timer } from '../../base/clock.ts'
import { silentLogger } from '../../base/log.ts'
import type { LocalUsage } from '../eviction/local-storage.ts'
import type { Measurable } from '../stats/usage.ts'
import type { FoundWorkload, WorkloadDriver } from '../workload.ts'
import { createBackoff } from './backoff.ts'
import { removeCgroups } from './cgroups.ts'
import { isNotFound } from './cri/client.ts'
import type { TaskEvent } from './cri/containerd-services.ts'
import { containerState } from './cri/messages.ts'
import { createImageVolumes } from './image-volumes.ts'
import { localUsage } from './local-usage.ts'
import { rotateLog } from './log-rotation.ts'
import { labels } from './names.ts'
import type { PodsOptions, Shared } from './options.ts'
import { isFinal, type PodObject } from './pod.ts'
import { createPodFiles } from './pod-files.ts'
import { createPuller } from './pulling.ts'
import { removeSandbox } from './remove.ts'
import { requestsOf } from './resize.ts'
import { cgroupOfPod } from './spec.ts'
import { createStarter, subPathRoot } from './start-container.ts'
import { podStatus } from './status.ts'
import { createStrays } from './strays.ts'
import { createPodStreams, type PodStreams } from './streams.ts'
import { unbindAll } from './subpath.ts'
import { takeOver } from './takeover.ts'
import { type PodView, runningContainers } from './view.ts'
import { createWorker } from './worker.ts'
import type { Eviction, Worker } from './worker-contract.ts'

export type { PodsOptions } from './options.ts'

const nodes: ResourceRef = { group: '', version: 'v1', resource: 'nodes' }

/** As often as a kubelet syncs each Pod. */
const relistMs = 60_000
/** More often at first: what a Tandem that was killed left half-done comes to its end. */
const firstRelistMs = 3_000
const reconnectMs = 500
/** Between the volumes of one Pod and those of the next. */
const refreshPauseMs = 10
/** kubelet containerLogMonitorInterval */
const rotateMs = 10_000
/** containerd tells of an exit a moment before its own status says so. */
const settleDelays = [0, 5, 10, 20, 40, 80, 160, 320, 640, 1280]

/**
 * Where the sandbox is a machine, its group holds what all containers use, and their own groups hold no more than a client
 * each: the first container stands for all.
 */
function measurableOf(view: PodView, { cgroupParent, machineHandlers }: PodsOptions): Measurable {
  const { namespace = '', name, uid, labels: given = {} } = view.pod.metadata
  const group = cgroupOfPod(view.pod, cgroupParent)
  const machine = view.sandbox && machineHandlers.has(view.sandbox.handler) ? view.sandbox.id : undefined
  const parts = runningContainers(view).map(({ id, name: container, startedAt }, index) => ({
    name: container,
    id,
    startedAt,
    source: { group: `${group}/${index === 0 ? (machine ?? id) : id}` },
  }))
  return { namespace, name, uid, kind: 'Pod', labels: given, startedAt: view.startTime, parts }
}

/** The driver, and what the node serves of its Pods beside the objects. */
export interface Pods extends WorkloadDriver, PodStreams {
  /** What runs, for who measures what it uses. */
  measurables(): Measurable[]
  /** Pods that this node works on, as the API has them. */
  objects(): PodObject[]
  /** The node ends a Pod: it fails with this reason. */
  evict(podUid: string, eviction: Eviction): void
  /** Removes dead containers that others have replaced: the disk is full. */
  forgetDead(): void
  /** What the Pod takes of the disk. */
  localUsage(pod: PodObject): Promise<LocalUsage>
}

export function createPods(options: PodsOptions): Pods {
  const workers = new Map<string, Worker>()
  const shared: Shared = {
    ...options,
    clock: options.clock ?? realClock,
    log: options.log ?? silentLogger,
    restarts: createBackoff(),
    pulls: createBackoff(),
    roomFor(podUid) {
      const room = { cpu: options.node.cpu * 1000, memory: options.node.memoryBytes }
      for (const [uid, { view }] of workers) {
        if (uid === podUid || view.ended || isFinal(view.pod)) continue
        const taken = requestsOf(view.pod, view.granted)
        room.cpu -= taken.cpu
        room.memory -= taken.memory
      }
      return room
    },
  }
  const { containerd, client, clock, log } = shared
  const { cri } = containerd
  const files = createPodFiles(options.paths, options.clusterDomain)
  const puller = createPuller(shared)
  const imageVolumes = createImageVolumes(containerd.socket, files, puller)
  const starter = createStarter(shared, files)
  /** Pods that had something in the runtime when we started: their workers look before they act. */
  const inherited = new Set<string>()
  const owners = new Map<string, string>()
  /** At the last look; one look may meet a Pod whose removal is under way. */
  let ownerless = new Set<string>()
  const strays = createStrays({
    cgroup: options.cgroupParent,
    socket: containerd.socket,
    directories: containerd.directories,
  })
  let listener: (uid: string) => void = () => {}
  let unsubscribe = () => {}
  let relist: Timer | undefined
  let rotation: Timer | undefined
  let ready = false
  let closed = false

  async function workerFor(pod: PodObject): Promise<Worker> {
    const { uid } = pod.metadata
    const known = workers.get(uid)
    if (known) return known
    const found = inherited.has(uid) ? await takeOver(cri, pod) : undefined
    const node = found ? undefined : await nodeNow()
    await files.prepare(pod)
    inherited.delete(uid)
    const worker = createWorker(pod, found, {
      shared,
      files,
      puller,
      imageVolumes,
      starter,
      node,
      others: (exact) =>
        [...workers.values()]
          .filter(({ view }) => !view.ended && !isFinal(view.pod) && !(exact && isOver(view)))
          .map(({ view }) => view.pod),
      changed: () => listener(uid),
      owns: (runtimeId) => owners.set(runtimeId, uid),
    })
    workers.set(uid, worker)
    return worker
  }

  /** Without an answer a Pod is not held up: who scheduled it has looked. */
  async function nodeNow(): Promise<StoredObject | undefined> {
    try {
      return await client.get(nodes, options.node.name)
    } catch {
      return undefined
    }
  }

  const isOver = (view: PodView): boolean =>
    ['Succeeded', 'Failed'].includes(podStatus(view, options.node, clock.now()).phase)

  async function onTask({ topic, containerId }: TaskEvent): Promise<void> {
    const worker = workers.get(owners.get(containerId) ?? '')
    if (!worker) return
    await settled(containerId, topic === '/tasks/oom')
    await worker.ended(containerId)
  }

  /** @param oom why it ended is told in an event of its own, before or after that of its end */
  async function settled(containerId: string, oom: boolean): Promise<void> {
    for (const delay of settleDelays) {
      if (delay) await clock.sleep(delay)
      const answer = await cri.containerStatus({ containerId }).catch((error) => {
        if (isNotFound(error)) return undefined
        throw error
      })
      const status = answer?.status
      if (status?.state !== containerState.running && (!status || !oom || status.reason === 'OOMKilled')) return
    }
  }

  const failed = (error: unknown) => log.warn('cannot follow an event of containerd', { error })

  function follow(): void {
    unsubscribe = cri.subscribe(
      (event) => void onTask(event).catch(failed),
      (error) => {
        ready = false
        if (closed) return
        log.warn('containerd is gone; starting it again', { error })
        clock.after(reconnectMs, () => void reconnect())
      },
    )
  }

  async function reconnect(): Promise<void> {
    if (closed) return
    try {
      await containerd.start()
      follow()
      ready = true
      await look()
    } catch (error) {
      log.error('containerd does not start', { error })
      clock.after(10 * reconnectMs, () => void reconnect())
    }
  }

  /** Whatever event was missed: containers that we think run, and do not. */
  async function look(): Promise<void> {
    const [{ items }, { containers }] = await Promise.all([cri.listPodSandbox({}), cri.listContainers({})])
    const running = new Set(containers.filter(({ state }) => state === containerState.running).map(({ id }) => id))
    const up = new Set(items.filter(({ state }) => state === 0).map(({ id }) => id))
    for (const { view, ended } of workers.values()) {
      const lost = [...view.containers.values()]
        .flat()
        .filter(({ id, state }) => state === 'running' && !running.has(id))
      for (const { id } of lost) await ended(id)
      if (view.sandbox?.ready && !up.has(view.sandbox.id)) await ended(view.sandbox.id)
    }
    await removeOwnerless(items)
    const known = await cri.containerIds()
    await strays.remove(known)
    await containerd.removeStrays(known)
  }

  /** Sandboxes of Pods that were gone when the call of a former Tandem that made them came to its end. */
  async function removeOwnerless(sandboxes: { id: string; labels: Record<string, string> }[]): Promise<void> {
    const isOwned = (uid = '') => workers.has(uid) || inherited.has(uid)
    const found = sandboxes.filter(({ labels: given }) => !isOwned(given[labels.podUid])).map(({ id }) => id)
    for (const id of found) if (ownerless.has(id)) await removeSandbox(cri, id)
    ownerless = new Set(found)
  }

  /** One after another: the API answers others in between, however many Pods there are. */
  async function refreshVolumes(): Promise<void> {
    for (const worker of workers.values()) {
      worker.refreshVolumes()
      await clock.sleep(refreshPauseMs)
      if (closed) return
    }
  }

  function scheduleRelist(afterMs: number): void {
    relist = clock.after(afterMs, () => {
      void refreshVolumes()
      void look()
        .catch(failed)
        .finally(() => {
          if (!closed) scheduleRelist(Math.min(afterMs * 2, relistMs))
        })
    })
  }

  async function rotateLogs(): Promise<void> {
    for (const { view } of workers.values())
      for (const { id, logPath } of runningContainers(view))
        await rotateLog(logPath, () => cri.reopenContainerLog({ containerId: id }), clock.now()).catch((error) =>
          log.warn('cannot rotate a log', { path: logPath, error }),
        )
  }

  function scheduleRotation(): void {
    rotation = clock.after(rotateMs, () => {
      void rotateLogs().finally(() => {
        if (!closed) scheduleRotation()
      })
    })
  }

  async function inRuntime(): Promise<FoundWorkload[]> {
    const { items } = await cri.listPodSandbox({})
    return items.map(({ labels: given }) => ({
      uid: given[labels.podUid] ?? '',
      namespace: given[labels.podNamespace] ?? '',
      name: given[labels.podName] ?? '',
    }))
  }

  async function remove(workload: FoundWorkload): Promise<void> {
    const { uid } = workload
    const worker = workers.get(uid)
    workers.delete(uid)
    await worker?.close()
    const { items } = await cri.listPodSandbox({ filter: { labelSelector: { [labels.podUid]: uid } } })
    await Promise.all(items.map(({ id }) => removeSandbox(cri, id)))
    await shared.network.leavePod(uid)
    await unbindAll(subPathRoot(files, uid))
    await imageVolumes.unmountAll(uid)
    await shared.volumes.unmountAll(uid)
    await removeCgroups(`${options.cgroupParent}/pod${uid}`)
    await files.remove(workload)
    puller.forget(uid)
    shared.restarts.forget(`${uid}/`)
    inherited.delete(uid)
    for (const [id, owner] of owners) if (owner === uid) owners.delete(id)
  }

  return {
    ...createPodStreams(cri, { view: (uid) => workers.get(uid)?.view }, clock),
    kind: 'Pod',
    objects: () => [...workers.values()].map(({ view }) => view.pod),
    localUsage: (pod) => localUsage(cri, files, pod),
    forgetDead() {
      for (const worker of workers.values()) worker.forgetDead()
    },
    evict: (podUid, eviction) => workers.get(podUid)?.evict(eviction),
    measurables: () =>
      [...workers.values()].map(({ view }) => measurableOf(view, options)).filter(({ parts }) => parts.length),
    async start() {
      await containerd.start()
      follow()
      for (const { uid } of await inRuntime()) inherited.add(uid)
      await look()
      ready = true
      scheduleRelist(firstRelistMs)
      scheduleRotation()
    },
    conditions: () => [
      ready
        ? { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'containerd is running' }
        : { type: 'Ready', status: 'False', reason: 'ContainerRuntimeNotReady', message: 'containerd does not answer' },
    ],
    async found() {
      const all = new Map<string, FoundWorkload>()
      for (const workload of [...(await files.found()), ...(await inRuntime())]) {
        const known = all.get(workload.uid)
        if (workload.uid && !known?.name) all.set(workload.uid, workload)
      }
      return [...all.values()]
    },
    async sync(object: StoredObject) {
      const pod = object as PodObject
      const worker = await workerFor(pod)
      worker.update(pod)
      return worker.report()
    },
    stopped: (uid) => workers.get(uid)?.stopped() ?? !inherited.has(uid),
    remove,
    onChange(next) {
      listener = next
    },
    async stop() {
      closed = true
      relist?.cancel()
      rotation?.cancel()
      unsubscribe()
      // What is under way at this moment may end; nothing new begins.
      for (const worker of workers.values()) void worker.close()
    },
  }
}
