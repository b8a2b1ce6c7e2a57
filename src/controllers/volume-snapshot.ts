// VolumeSnapshot: finds or makes its content, binds the two, and tells what the content says of itself. The data is the
// host's (src/host/volume-snapshots). Steps of external-snapshotter 8.6 (pkg/common-controller).

import { isApiError } from '../api/errors.ts'
import type { StoredObject } from '../api/meta.ts'
import { objectKey } from '../api/meta.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { localProvisioner } from '../kinds/storage/local-provisioner.ts'
import {
  asSourceFinalizer,
  beingDeleted,
  boundFinalizer,
  claimFinalizer,
  contentFinalizer,
} from '../kinds/volumesnapshot/names.ts'
import { isSnapshotReference, refersTo } from '../kinds/volumesnapshot/references.ts'
import { type ControllerContext, type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import {
  persistentVolumeClaims,
  persistentVolumes,
  volumeSnapshotClasses,
  volumeSnapshotContents,
  volumeSnapshots,
} from './resources.ts'
import { has, holdWith } from './snapshot.ts'
import {
  classRefusal,
  contentFor,
  contentMissing,
  contentOfSnapshot,
  contentProblem,
  creationFailed,
  defaultClassFor,
  failedStatus,
  isProblem,
  isReady,
  type Problem,
  snapshotStatus,
  usersOfClaim,
  volumeToSnapshot,
} from './volume-snapshot-plan.ts'

const retryMs = 5_000
/** Before the key of a claim that snapshots are taken of. */
const claimPrefix = 'claim:'

const claimOf = ({ metadata, spec }: StoredObject): string[] => {
  const name = spec.source?.persistentVolumeClaimName
  return name ? [`${metadata.namespace}/${name}`] : []
}

/** The snapshot that a claim is to be filled from. */
const sourceOfClaim = ({ metadata, spec }: StoredObject): string[] =>
  isSnapshotReference(spec?.dataSource) ? [`${metadata.namespace}/${spec.dataSource.name}`] : []

export const volumeSnapshot: ControllerDefinition = {
  name: 'volumesnapshot',
  start(context) {
    const snapshots = context.informers.informer(volumeSnapshots)
    snapshots.addIndex('claim', claimOf)
    const waiting = () =>
      snapshots
        .list()
        .filter((one) => !isReady(one))
        .map(objectKey)
    return reconcileOn(
      context,
      'volumesnapshot',
      [
        {
          ref: volumeSnapshots,
          keys: (snapshot) => [...itself(snapshot), ...claimOf(snapshot).map((key) => claimPrefix + key)],
        },
        {
          ref: volumeSnapshotContents,
          keys: ({ spec }) => [`${spec.volumeSnapshotRef?.namespace}/${spec.volumeSnapshotRef?.name}`],
        },
        {
          ref: persistentVolumeClaims,
          keys: (claim) => [
            ...(has(claim, claimFinalizer) ? [claimPrefix + objectKey(claim)] : []),
            ...snapshots.byIndex('claim', objectKey(claim)).map(objectKey),
            ...sourceOfClaim(claim),
          ],
        },
        { ref: volumeSnapshotClasses, keys: waiting },
        // Only for the informer.
        { ref: persistentVolumes, keys: () => [] },
      ],
      createSync(context),
    )
  },
}

function createSync(context: ControllerContext) {
  const { client, informers, clock } = context
  const record = context.recorder('snapshot-controller')
  const snapshots = informers.informer(volumeSnapshots)
  const contents = informers.informer(volumeSnapshotContents)
  const classes = informers.informer(volumeSnapshotClasses)
  const claims = informers.informer(persistentVolumeClaims)
  const volumes = informers.informer(persistentVolumes)

  const hold = (snapshot: StoredObject, finalizer: string, isSet = true) =>
    holdWith(context, volumeSnapshots, snapshot, finalizer, isSet)

  /** The claim stays until the snapshot is taken; nothing holds it longer. */
  async function protectClaim(key: string): Promise<void> {
    const claim = claims.get(key)
    if (!claim) return
    const users = usersOfClaim(claim.metadata.name, snapshots.list(claim.metadata.namespace))
    if (users.length > 0 && claim.metadata.deletionTimestamp) return
    await holdWith(context, persistentVolumeClaims, claim, claimFinalizer, users.length > 0)
  }

  async function fail(snapshot: StoredObject, problem: Problem): Promise<ReconcileResult> {
    if (snapshot.status?.error?.message !== problem.message) {
      await client.updateStatus(volumeSnapshots, {
        ...snapshot,
        status: failedStatus(snapshot, problem, clock.now()),
      })
      record(snapshot, 'Warning', problem.reason, problem.message)
    }
    return { requeueAfter: retryMs }
  }

  function classOf(snapshot: StoredObject): StoredObject | Problem {
    const name: string | undefined = snapshot.spec.volumeSnapshotClassName
    if (name === undefined) return defaultClassFor(classes.list(), localProvisioner)
    return (
      classes.get(name) ?? {
        reason: 'GetSnapshotClassFailed',
        message: `Failed to get snapshot class with error volumesnapshotclass.snapshot.storage.k8s.io "${name}" not found: make it, or name another one`,
        harmless: true,
      }
    )
  }

  /** The content of a snapshot of a claim is made once: one that is gone later is a loss. */
  async function make(snapshot: StoredObject, snapshotClass: StoredObject): Promise<StoredObject | Problem> {
    const name = snapshot.spec.source.persistentVolumeClaimName
    const claim = claims.get(`${snapshot.metadata.namespace}/${name}`)
    const volume = volumeToSnapshot(name, claim, (found) => volumes.get(found))
    if (typeof volume === 'string') return creationFailed(volume)
    const refused = classRefusal(snapshotClass, volume)
    if (refused) return creationFailed(refused)
    for (const key of claimOf(snapshot)) await protectClaim(key)
    const wanted = contentFor(snapshot, snapshotClass, volume)
    try {
      const made = await client.create(volumeSnapshotContents, wanted)
      const text = `Waiting for a snapshot ${objectKey(snapshot)} to be created by the CSI driver.`
      record(snapshot, 'Normal', 'CreatingSnapshot', text)
      return made
    } catch (error) {
      if (isApiError(error, 'AlreadyExists')) return client.get(volumeSnapshotContents, wanted.metadata.name!)
      throw error
    }
  }

  /** What was made by hand for a snapshot of this name becomes this snapshot's. */
  async function bind(snapshot: StoredObject, content: StoredObject): Promise<StoredObject> {
    if (content.spec.volumeSnapshotRef.uid) return content
    const { name, uid } = snapshot.metadata
    const { volumeSnapshotClassName } = snapshot.spec
    return client.patch(volumeSnapshotContents, content.metadata.name, undefined, 'merge', {
      metadata: { resourceVersion: content.metadata.resourceVersion },
      spec: {
        volumeSnapshotRef: { ...content.spec.volumeSnapshotRef, name, uid },
        ...(volumeSnapshotClassName && { volumeSnapshotClassName }),
      },
    })
  }

  async function contentFound(snapshot: StoredObject): Promise<StoredObject | Problem> {
    const found = contents.get(contentOfSnapshot(snapshot))
    if (found) {
      const problem = contentProblem(snapshot, found)
      if (problem) return problem
      const bound = await bind(snapshot, found)
      return (await holdWith(context, volumeSnapshotContents, bound, contentFinalizer, !isLeaving(bound))) ?? bound
    }
    if (snapshot.spec.source.volumeSnapshotContentName !== undefined || isReady(snapshot))
      return contentMissing(snapshot)
    const snapshotClass = classOf(snapshot)
    return isProblem(snapshotClass) ? snapshotClass : make(snapshot, snapshotClass)
  }

  const isLeaving = (content: StoredObject): boolean =>
    content.metadata.deletionTimestamp !== undefined && !has(content, contentFinalizer)

  /** The class that will be used stands in the spec from then on. */
  async function chooseClass(snapshot: StoredObject): Promise<StoredObject | Problem> {
    const { source, volumeSnapshotClassName } = snapshot.spec
    if (source.volumeSnapshotContentName !== undefined || isReady(snapshot)) return snapshot
    const chosen = classOf(snapshot)
    if (isProblem(chosen) || volumeSnapshotClassName !== undefined) return isProblem(chosen) ? chosen : snapshot
    const { name, namespace, resourceVersion } = snapshot.metadata
    return client.patch(volumeSnapshots, name, namespace, 'merge', {
      metadata: { resourceVersion },
      spec: { volumeSnapshotClassName: chosen.metadata.name },
    })
  }

  async function advance(given: StoredObject): Promise<ReconcileResult | undefined> {
    const chosen = await chooseClass(given)
    if (isProblem(chosen)) return fail(given, chosen)
    const held = await hold(chosen, asSourceFinalizer)
    if (!held) return undefined
    const content = await contentFound(held)
    if (isProblem(content)) return fail(held, content)
    const bound = await hold(held, boundFinalizer)
    if (!bound) return undefined
    const { status, events } = snapshotStatus(bound, content)
    if (semanticallyEqual(status, bound.status)) return undefined
    await client.updateStatus(volumeSnapshots, { ...bound, status })
    for (const { reason, message } of events) record(bound, 'Normal', reason, message)
    return undefined
  }

  const isBeingRestored = (snapshot: StoredObject): boolean =>
    claims
      .list(snapshot.metadata.namespace)
      .some((claim) => claim.status?.phase === 'Pending' && sourceOfClaim(claim).includes(objectKey(snapshot)))

  /** The content first, with what it stands for where its policy says so; the snapshot is there until it is gone. */
  async function end(snapshot: StoredObject): Promise<ReconcileResult | undefined> {
    if (![asSourceFinalizer, boundFinalizer].some((finalizer) => has(snapshot, finalizer))) return undefined
    const named = snapshot.status?.boundVolumeSnapshotContentName ?? contentOfSnapshot(snapshot)
    const found = contents.get(named)
    const content = found && refersTo(found, snapshot) ? found : undefined
    if (content && isBeingRestored(snapshot)) {
      record(snapshot, 'Warning', 'SnapshotDeletePending', 'Snapshot is being used to restore a PVC')
      return { requeueAfter: retryMs }
    }
    const goesToo = content?.spec.deletionPolicy === 'Delete'
    if (content) await endContent(content, goesToo)
    const released = await hold(snapshot, asSourceFinalizer, false)
    if (released && !goesToo) await hold(released, boundFinalizer, false)
    return undefined
  }

  async function endContent({ metadata }: StoredObject, goesToo: boolean): Promise<void> {
    const { name, annotations, deletionTimestamp } = metadata
    const unlessGone = (error: unknown): undefined => {
      if (!isApiError(error, 'NotFound')) throw error
    }
    if (!annotations?.[beingDeleted])
      await client
        .patch(volumeSnapshotContents, name, undefined, 'merge', {
          metadata: { annotations: { [beingDeleted]: 'yes' } },
        })
        .catch(unlessGone)
    if (goesToo && !deletionTimestamp) await client.delete(volumeSnapshotContents, name).catch(unlessGone)
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    if (key.startsWith(claimPrefix)) {
      await protectClaim(key.slice(claimPrefix.length))
      return undefined
    }
    const snapshot = snapshots.get(key)
    if (!snapshot) return undefined
    return snapshot.metadata.deletionTimestamp ? end(snapshot) : advance(snapshot)
  }
}
