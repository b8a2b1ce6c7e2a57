// Fills the claims of DataVolumes: each in a thread of its own, few at once; what fails is tried again, ever later.

import { chmod, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isApiError } from '../../api/errors.ts'
import { objectKey, type ResourceRef, type StoredObject } from '../../api/meta.ts'
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../base/log.ts'
import { createReconciler, type ReconcileResult } from '../../client/reconciler.ts'
import { podPhase, podReady, podRestarts, uploadTarget } from '../../kinds/cdi/annotations.ts'
import { type CloneSource, resolveSource } from '../../kinds/cdi/clone-source.ts'
import { claimDiskSize } from '../machines/claim-disk.ts'
import type { StatePaths } from '../state.ts'
import { likeRoot } from '../volumes/copy-tree.ts'
import { VolumeNotReady } from '../volumes/volumes.ts'
import type { EventRecorder } from '../workload.ts'
import { ImportError } from './failure.ts'
import { createMaterials, type MaterialTools } from './materials.ts'
import { doneNotes, failedNotes, type Notes, pendingNotes, progressNotes, readyNotes, startedNotes } from './notes.ts'
import { dataVolumeOf, type Order, orderFor, retryDelay } from './order.ts'
import type { Material } from './perform.ts'
import { publish } from './publish.ts'
import type { RunTask } from './thread.ts'

const claimsRef: ResourceRef = { group: '', version: 'v1', resource: 'persistentvolumeclaims' }
const cdi = (resource: string): ResourceRef => ({ group: 'cdi.kubevirt.io', version: 'v1beta1', resource })

/** Imports at once. */
const slots = 3
/** Below those of machines: each import is a user of its own. */
const firstUser = 1_060_000
const progressMs = 2_000
const waitMs = 2_000

export interface ImporterOptions extends MaterialTools {
  paths: Pick<StatePaths, 'root' | 'imports'>
  record: EventRecorder
  run: RunTask
  clock: Clock
  log: Logger
}

interface Job {
  key: string
  slot: number
  ending: AbortController
}

interface Failures {
  count: number
  retryAt: number
}

export interface Importer {
  start(): Promise<void>
  stop(): Promise<void>
  /** The claim and its order when it waits for an upload; the text says why not. */
  uploadTarget(namespace: string, name: string): { claim: StoredObject; order: Order } | string
  /** The directory in which an upload is kept until it is in its volume. */
  workDirectory(claim: StoredObject): string
  /** Puts what was uploaded into the claim. @throws ImportError */
  fill(claim: StoredObject, order: Order, file: string): Promise<void>
}

export function createImporter(options: ImporterOptions): Importer {
  const { client, informers, paths, record, clock, log } = options
  const claims = informers.informer(claimsRef)
  const volumes = informers.informer(cdi('datavolumes'))
  const sources = informers.informer(cdi('datasources'))
  const materials = createMaterials(options)
  const jobs = new Map<string, Job>()
  const failures = new Map<string, Failures>()
  const reconciler = createReconciler({
    name: 'imports',
    reconcile: (key) => reconcile(key),
    clock,
    log,
    concurrency: 4,
  })

  const volumeOf = (claim: StoredObject): StoredObject | undefined => {
    const owner = dataVolumeOf(claim)
    const volume = owner && volumes.get(`${claim.metadata.namespace}/${owner.name}`)
    return volume?.metadata.uid === owner?.uid ? volume : undefined
  }

  async function note(claim: StoredObject, notes: Notes): Promise<void> {
    const { name, namespace, uid } = claim.metadata
    const now = claims.get(objectKey(claim))?.metadata
    if (!now || now.uid !== uid) return
    if (Object.entries(notes).every(([key, value]) => now.annotations?.[key] === value)) return
    await client
      .patch(claimsRef, name, namespace, 'merge', { metadata: { uid, annotations: notes } })
      .catch((error) => {
        if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) throw error
      })
  }

  async function reconcile(key: string): Promise<ReconcileResult | undefined> {
    const claim = claims.get(key)
    for (const [uid, job] of jobs)
      if (uid !== claim?.metadata.uid && job.key === key) job.ending.abort(new ImportError('the claim is gone'))
    if (!claim) return undefined
    const { uid } = claim.metadata
    const order = orderFor(claim, volumeOf(claim))
    const job = jobs.get(uid)
    if (!order) {
      if (claim.metadata.deletionTimestamp) job?.ending.abort(new ImportError('the claim is gone'))
      failures.delete(uid)
      return undefined
    }
    if (job) return undefined
    if (order.origin.kind === 'upload') {
      if (claim.metadata.annotations?.[podReady] !== 'true') await note(claim, readyNotes())
      return undefined
    }
    const wait = (failures.get(uid)?.retryAt ?? 0) - clock.now()
    if (wait > 0) return { requeueAfter: wait }
    return begin(claim, order)
  }

  async function begin(claim: StoredObject, order: Order): Promise<ReconcileResult | undefined> {
    const slot = freeSlot()
    if (slot === undefined) {
      await note(claim, pendingNotes())
      return { requeueAfter: waitMs }
    }
    const source = order.origin.kind === 'clone' ? sourceOf(claim) : undefined
    const job = occupy(claim, slot)
    try {
      const material = await materials.find(claim, order, source)
      await note(claim, startedNotes())
      void work(claim, order, material, job, source)
      return undefined
    } catch (error) {
      release(claim)
      if (!(error instanceof VolumeNotReady)) {
        await failed(claim, error as Error)
        return { requeueAfter: 0 }
      }
      if (error.reason === 'CloneSourceInUse') record(claim, 'Warning', error.reason, error.message)
      await note(claim, pendingNotes(error.message))
      return { requeueAfter: waitMs }
    }
  }

  function sourceOf(claim: StoredObject): CloneSource | undefined {
    const found = resolveSource(volumeOf(claim)!, (key) => sources.get(key))
    return found && 'name' in found ? found : undefined
  }

  function freeSlot(): number | undefined {
    const taken = new Set([...jobs.values()].map((job) => job.slot))
    return Array.from({ length: slots }, (_, index) => index).find((index) => !taken.has(index))
  }

  function occupy(claim: StoredObject, slot: number): Job {
    const job = { key: objectKey(claim), slot, ending: new AbortController() }
    jobs.set(claim.metadata.uid, job)
    return job
  }

  const release = (claim: StoredObject): boolean => jobs.delete(claim.metadata.uid)

  async function work(claim: StoredObject, order: Order, material: Material, job: Job, source?: CloneSource) {
    try {
      await put(claim, order, material, job)
      // Whoever used the source meanwhile may have changed it under the copy.
      if (source) materials.checkSame(source)
      await finish(claim, order)
    } catch (error) {
      await failed(claim, error as Error).catch((cause) => log.warn('cannot tell of a failed import', { error: cause }))
    } finally {
      release(claim)
      reconciler.enqueue(objectKey(claim))
    }
  }

  const workDirectory = (claim: StoredObject): string => join(paths.imports, claim.metadata.uid)

  async function put(claim: StoredObject, order: Order, material: Material, job: Job): Promise<void> {
    const { namespace, name } = claim.metadata
    const bound = await options.volumes.claimPath(namespace!, name, true)
    const base = workDirectory(claim)
    const directory = join(base, 'work')
    await rm(directory, { recursive: true, force: true })
    await mkdir(directory, { recursive: true })
    for (const folder of [base, directory]) await chmod(folder, 0o711)
    const task = {
      directory,
      hidden: paths.root,
      uid: firstUser + job.slot,
      size: order.archive ? bound.capacityBytes : claimDiskSize(bound),
      archive: order.archive,
      preallocate: order.preallocate,
      material,
    }
    let told = 0
    try {
      await options.run(task, job.ending.signal, (percent) => {
        if (clock.now() - told < progressMs) return
        told = clock.now()
        void note(claim, progressNotes(percent)).catch(() => {})
      })
      job.ending.signal.throwIfAborted()
      const made = join(directory, 'out')
      await publish(made, bound.path)
      if (material.kind === 'tree') await likeRoot(made, bound.path)
    } finally {
      await rm(base, { recursive: true, force: true })
    }
  }

  async function finish(claim: StoredObject, order: Order): Promise<void> {
    const { kind } = order.origin
    const what = kind === 'clone' ? 'Clone Complete' : kind === 'upload' ? 'Upload Complete' : 'Import Complete'
    await note(claim, doneNotes(what, order.preallocate))
    failures.delete(claim.metadata.uid)
    const told = { clone: 'CloneSucceeded', upload: 'UploadSucceeded' }[kind as string] ?? 'ImportSucceeded'
    const text = { clone: 'Clone Successful', upload: 'Upload Successful' }[kind as string] ?? 'Import Successful'
    record(claim, 'Normal', told, text)
  }

  async function failed(claim: StoredObject, error: Error, again: 'later' | 'upload' = 'later'): Promise<void> {
    const { uid } = claim.metadata
    const count = (failures.get(uid)?.count ?? Number(claim.metadata.annotations?.[podRestarts] ?? 0)) + 1
    failures.set(uid, { count, retryAt: clock.now() + retryDelay(count) })
    const fatal = error instanceof ImportError && error.fatal
    const message = `Unable to process data: ${error.message.replaceAll(paths.root, '')}`
    await note(claim, failedNotes(message, count, fatal, again))
    record(claim, 'Warning', 'ImportFailed', message.slice(0, 1000))
  }

  return {
    async start() {
      // What a former run had begun is begun anew.
      await rm(paths.imports, { recursive: true, force: true })
      await mkdir(paths.imports, { recursive: true, mode: 0o711 })
      await Promise.all([claims.synced(), volumes.synced(), sources.synced()])
      const changed = (claim: StoredObject) => reconciler.enqueue(objectKey(claim))
      claims.addHandler({ changed, removed: changed })
      // The claim of a DataVolume has its name.
      volumes.addHandler({ changed, removed: () => {} })
      reconciler.start()
    },
    async stop() {
      await reconciler.stop()
      for (const job of jobs.values()) job.ending.abort(new ImportError('Tandem stops'))
    },
    workDirectory,
    uploadTarget(namespace, name) {
      const claim = claims.get(`${namespace}/${name}`)
      if (!claim) return `rejecting Upload Request for PVC ${name} that doesn't exist`
      if (claim.metadata.annotations?.[uploadTarget] === undefined) return `PVC ${name} is not an upload target`
      const order = orderFor(claim, volumeOf(claim))
      if (order?.origin.kind === 'upload') return { claim, order }
      return claim.metadata.annotations?.[podPhase] === 'Succeeded'
        ? `rejecting Upload Request for PVC ${name} that already finished uploading`
        : `PVC ${name} is not ready for an upload yet`
    },
    async fill(claim, order, file) {
      const slot = freeSlot()
      if (slot === undefined) throw new ImportError('other imports are at work: try again in a moment')
      const job = occupy(claim, slot)
      try {
        await put(claim, order, { kind: 'file', path: file }, job)
        await finish(claim, order)
      } catch (error) {
        await failed(claim, error as Error, 'upload')
        throw error
      } finally {
        release(claim)
        reconciler.enqueue(objectKey(claim))
      }
    },
  }
}
