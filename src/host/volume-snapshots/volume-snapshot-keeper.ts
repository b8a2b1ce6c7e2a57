// Takes the snapshots that VolumeSnapshotContents of the local volumes ask for, fills volumes from them and from each other,
// and lets go of what nobody wants any more: what a CSI driver and its sidecars do upstream (external-snapshotter 8.6,
// pkg/sidecar-controller).

import { mkdir } from 'node:fs/promises'
import { isApiError } from '../../api/errors.ts'
import type { ResourceRef, StoredObject } from '../../api/meta.ts'
import { formatTime } from '../../api/time.ts'
import { equalJson } from '../../api/walk/plain.ts'
import type { Logger } from '../../base/log.ts'
import type { Client } from '../../client/client.ts'
import type { Informer, InformerFactory } from '../../client/informer.ts'
import { createReconciler } from '../../client/reconciler.ts'
import { filledAnnotation, isBeingFilled } from '../../kinds/snapshot/memory.ts'
import { contentFinalizer } from '../../kinds/volumesnapshot/names.ts'
import type { Machines } from '../machines/machines.ts'
import type { StatePaths } from '../state.ts'
import type { Volumes } from '../volumes/volumes.ts'
import type { EventRecorder } from '../workload.ts'
import { contentProblem, handleOf, isOurs, isWanted, mayGo, sizeOf, statusOf, volumePlace } from './content-plan.ts'
import { type Brought, bringData } from './fill-source.ts'
import { fillVolume } from './fill-volume.ts'
import { dataBelow, type SnapshotStore } from './snapshot-store.ts'
import { takeVolume, writersText } from './take-volume.ts'

export interface VolumeSnapshotKeeperOptions {
  client: Client
  informers: InformerFactory
  paths: Pick<StatePaths, 'root' | 'imports' | 'volumes'>
  store: SnapshotStore
  volumes: Pick<Volumes, 'claimPath'>
  machines: Pick<Machines, 'snapshot'>
  record: EventRecorder
  log: Logger
}

const core = (resource: string): ResourceRef => ({ group: '', version: 'v1', resource })
const contentRef: ResourceRef = {
  group: 'snapshot.storage.k8s.io',
  version: 'v1',
  resource: 'volumesnapshotcontents',
}
const snapshotRef: ResourceRef = { ...contentRef, resource: 'volumesnapshots' }
const volumeRef = core('persistentvolumes')
const claimRef = core('persistentvolumeclaims')

interface Seen {
  contents: Informer
  snapshots: Informer
  volumes: Informer
  claims: Informer
  pods: Informer
  instances: Informer
}

export async function keepVolumeSnapshots(options: VolumeSnapshotKeeperOptions): Promise<{ stop(): Promise<void> }> {
  const { informers, log, store } = options
  const seen: Seen = {
    contents: informers.informer(contentRef),
    snapshots: informers.informer(snapshotRef),
    volumes: informers.informer(volumeRef),
    claims: informers.informer(claimRef),
    pods: informers.informer(core('pods')),
    instances: informers.informer({ group: 'kubevirt.io', version: 'v1', resource: 'virtualmachineinstances' }),
  }
  // What a former run had begun is begun anew, and what it had begun to remove goes.
  await store.sweep()
  /** Copies at work, by the key of what they are for. */
  const copies = new Map<string, AbortController>()
  const work = createWork(options, seen)
  const reconciler = createReconciler({
    name: 'volume-snapshot-keeper',
    log,
    async reconcile(key) {
      const ending = new AbortController()
      copies.set(key, ending)
      const [kind, name = ''] = key.split(':')
      try {
        if (kind === 'content') await work.syncContent(seen.contents.get(name), ending.signal)
        else await work.syncVolume(seen.volumes.get(name), ending.signal)
      } finally {
        copies.delete(key)
      }
    },
  })
  const enqueue = (key: string, isLeaving: boolean) => {
    if (isLeaving) copies.get(key)?.abort(new Error('nobody waits for it any more'))
    reconciler.enqueue(key)
  }
  const leaves = ({ metadata }: StoredObject) => metadata.deletionTimestamp !== undefined
  seen.contents.addHandler({
    changed: (content) => enqueue(`content:${content.metadata.name}`, leaves(content)),
    removed: () => {},
  })
  seen.volumes.addHandler({
    changed: (volume) => {
      if (isBeingFilled(volume)) enqueue(`volume:${volume.metadata.name}`, leaves(volume))
    },
    removed: (last) => copies.get(`volume:${last.metadata.name}`)?.abort(new Error('the volume is gone')),
  })
  void Promise.all(Object.values(seen).map((informer: Informer) => informer.synced())).then(() => reconciler.start())
  return {
    async stop() {
      for (const copy of copies.values()) copy.abort(new Error('Tandem stops'))
      await reconciler.stop()
    },
  }
}

function createWork(options: VolumeSnapshotKeeperOptions, seen: Seen) {
  const { client, paths, record, store, volumes, machines } = options
  const { contents, snapshots, claims, pods, instances } = seen
  const tools = {
    volumes,
    machines,
    pods: (namespace: string) => pods.list(namespace),
    instances: (namespace: string) => instances.list(namespace),
  }

  const sources = {
    take: tools,
    store,
    paths,
    volume: (name: string) => seen.volumes.get(name),
    claim: (key: string) => claims.get(key),
  }

  /** Nobody is told where on this machine things are. */
  const said = (error: unknown): string => (error as Error).message.replaceAll(paths.root, '')

  const unlessGone = (error: unknown): void => {
    if (!isApiError(error, 'NotFound')) throw error
  }

  async function tell(content: StoredObject, status: Record<string, unknown>): Promise<void> {
    if (equalJson(status, content.status)) return
    await client.updateStatus(contentRef, { ...content, status }).catch(unlessGone)
  }

  async function tellProblem(content: StoredObject, reason: string, message: string): Promise<void> {
    if (content.status?.error?.message === message && content.status.readyToUse === false) return
    const error = { time: formatTime(Date.now()), message }
    await tell(content, { ...content.status, readyToUse: false, error })
    record(content, 'Warning', reason, message)
  }

  async function syncContent(content: StoredObject | undefined, signal: AbortSignal): Promise<void> {
    if (!content || !isOurs(content)) return
    if (content.metadata.deletionTimestamp) return release(content)
    const handle = handleOf(content)
    const taken = handle === undefined ? undefined : store.find(handle)
    if (handle !== undefined && taken) return tell(content, statusOf(handle, taken))
    const problem = contentProblem(content)
    if (problem) return tellProblem(content, 'SnapshotContentCheckandUpdateFailed', problem)
    await take(content, handle!, signal)
  }

  async function take(content: StoredObject, handle: string, signal: AbortSignal): Promise<void> {
    try {
      const volume = seen.volumes.get(content.spec.source.volumeHandle)
      const { claim } = volumePlace(content.spec.source.volumeHandle, volume, (key) => claims.get(key), paths.volumes)
      const data = dataBelow(store.begin(handle))
      await mkdir(data, { mode: 0o700 })
      const { takenAt, writers } = await takeVolume(tools, claim, data, signal)
      store.seal(handle, { takenAt, size: sizeOf(volume!) })
      if (writers.length > 0) warn(content, claim.name, writers)
    } catch (error) {
      await store.forget(handle)
      if (!signal.aborted)
        await tellProblem(content, 'SnapshotCreationFailed', `Failed to create snapshot: ${said(error)}`)
      throw error
    }
    await tell(content, statusOf(handle, store.find(handle)!))
  }

  function warn(content: StoredObject, claim: string, writers: string[]): void {
    const { namespace, name } = content.spec.volumeSnapshotRef
    const text = writersText(writers, claim, 'snapshot')
    record(snapshots.get(`${namespace}/${name}`) ?? content, 'Warning', 'SnapshotSourceInUse', text)
  }

  /** The data goes where the policy says so, and no other content stands for it. */
  async function release(content: StoredObject): Promise<void> {
    const { name, finalizers = [], resourceVersion } = content.metadata
    if (!finalizers.includes(contentFinalizer) || !mayGo(content)) return
    const handle = handleOf(content)
    if (content.spec.deletionPolicy === 'Delete' && handle && !isWanted(handle, content, contents.list()))
      await store.forget(handle)
    const left = finalizers.filter((one) => one !== contentFinalizer)
    await client
      .patch(contentRef, name, undefined, 'merge', {
        metadata: { resourceVersion, finalizers: left.length > 0 ? left : null },
      })
      .catch(unlessGone)
  }

  async function syncVolume(volume: StoredObject | undefined, signal: AbortSignal): Promise<void> {
    if (!volume || volume.metadata.deletionTimestamp || !isBeingFilled(volume)) return
    const { name } = volume.metadata
    const warnClaim = (reason: string, text: string) => {
      const { namespace, name: claimName } = volume.spec.claimRef ?? {}
      const claim = claims.get(`${namespace}/${claimName}`)
      if (claim) record(claim, 'Warning', reason, text)
    }
    let brought: Brought
    try {
      brought = await fillVolume(paths, volume, (into) => bringData(sources, volume, into, signal), signal)
    } catch (error) {
      if (!signal.aborted) warnClaim('ProvisioningFailed', `failed to provision volume ${name}: ${said(error)}`)
      throw error
    }
    if (brought.writers.length > 0) warnClaim('CloneSourceInUse', writersText(brought.writers, brought.claim!, 'clone'))
    await client
      .patch(volumeRef, name, undefined, 'merge', { metadata: { annotations: { [filledAnnotation]: 'true' } } })
      .catch(unlessGone)
  }

  return { syncContent, syncVolume }
}
