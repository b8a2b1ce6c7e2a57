// VirtualMachineSnapshot: holds its machine still for what may not change meanwhile, says what is to be kept, and tells
// how the host gets on with it (the host fills the content: src/host/machines/snapshot-keeper.ts).

import { isApiError } from '../api/errors.ts'
import type { ResourceRef, StoredObject } from '../api/meta.ts'
import { objectKey } from '../api/meta.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { isBeingFilled } from '../kinds/snapshot/memory.ts'
import { type ControllerContext, type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { isFinished } from './pod-state.ts'
import {
  persistentVolumeClaims,
  pods,
  virtualMachineInstances,
  virtualMachineSnapshotContents,
  virtualMachineSnapshots,
  virtualMachines,
} from './resources.ts'
import {
  claimsByVolume,
  contentFinalizer,
  contentName,
  contentOf,
  deletesContent,
  isProgressing,
  isTerminating,
  type Source,
  snapshotFinalizer,
  snapshotStatus,
  sourceFinalizer,
  timeLeft,
} from './snapshot-plan.ts'

const retryMs = 5_000

export const has = (object: StoredObject, finalizer: string): boolean =>
  object.metadata.finalizers?.includes(finalizer) ?? false

/** The object with the finalizer set or taken away; undefined when it is gone. */
export async function holdWith(
  { client }: ControllerContext,
  ref: ResourceRef,
  object: StoredObject,
  finalizer: string,
  isSet: boolean,
): Promise<StoredObject | undefined> {
  if (has(object, finalizer) === isSet) return object
  const { name, namespace, resourceVersion, finalizers = [] } = object.metadata
  const wanted = isSet ? [...finalizers, finalizer] : finalizers.filter((other) => other !== finalizer)
  try {
    return await client.patch(ref, name, namespace, 'merge', {
      metadata: { resourceVersion, finalizers: wanted.length ? wanted : null },
    })
  } catch (error) {
    if (isApiError(error, 'NotFound')) return undefined
    throw error
  }
}

export const virtualMachineSnapshot: ControllerDefinition = {
  name: 'virtualmachinesnapshot',
  start(context) {
    const snapshots = context.informers.informer(virtualMachineSnapshots)
    snapshots.addIndex('source', ({ metadata, spec }) => [`${metadata.namespace}/${spec.source?.name}`])
    const ofMachine = (object: StoredObject) =>
      snapshots.byIndex('source', objectKey(object)).filter(isProgressing).flatMap(itself)
    return reconcileOn(
      context,
      'virtualmachinesnapshot',
      [
        { ref: virtualMachineSnapshots, keys: itself },
        {
          ref: virtualMachineSnapshotContents,
          keys: ({ metadata, spec }) =>
            spec.virtualMachineSnapshotName ? [`${metadata.namespace}/${spec.virtualMachineSnapshotName}`] : [],
        },
        { ref: virtualMachines, keys: ofMachine },
        { ref: virtualMachineInstances, keys: ofMachine },
        // Only for the informers: a machine that waits for its claims is looked at again.
        { ref: persistentVolumeClaims, keys: () => [] },
        { ref: pods, keys: () => [] },
      ],
      createSync(context),
    )
  },
}

function createSync(context: ControllerContext) {
  const { client, informers, clock } = context
  const record = context.recorder('snapshot-controller')
  const snapshots = informers.informer(virtualMachineSnapshots)
  const contents = informers.informer(virtualMachineSnapshotContents)
  const machines = informers.informer(virtualMachines)
  const instances = informers.informer(virtualMachineInstances)
  const claims = informers.informer(persistentVolumeClaims)
  const podInformer = informers.informer(pods)

  const isLocked = (machine: StoredObject, { metadata: { name } }: StoredObject) =>
    machine.status?.snapshotInProgress === name && has(machine, sourceFinalizer)

  function sourceOf(snapshot: StoredObject, machine: StoredObject | undefined, problem = ''): Source | undefined {
    if (!machine) return undefined
    const locked = isLocked(machine, snapshot)
    const lockMessage = locked ? 'Source locked and operation in progress' : `Source not locked${problem}`
    return { uid: machine.metadata.uid, locked, lockMessage, instance: instances.get(objectKey(machine)) }
  }

  /** Why the machine cannot be held now. */
  function obstacle(snapshot: StoredObject, machine: StoredObject): string | undefined {
    const { namespace, name } = machine.metadata
    const names = [...claimsByVolume(machine).values()]
    for (const claimName of names) {
      const claim = claims.get(`${namespace}/${claimName}`)
      const source = ` source ${namespace}/${name}`
      if (!claim) return `${source} volume doesnt exist: ${claimName}`
      if (claim.metadata.deletionTimestamp) return `${source} volume is being deleted: ${claimName}`
      if (claim.status?.phase !== 'Bound') return `${source} volume not bound: ${claimName}`
      if (isBeingFilled(claim)) return `${source} volume not populated: ${claimName}`
    }
    if (!instances.get(objectKey(machine))) {
      const users = podInformer
        .list(namespace)
        .filter((pod) => !isFinished(pod) && pod.spec.volumes?.some(usesOneOf(names)))
      if (users.length) return ` source is offline but ${users.length} pods using PVCs [${names.join(' ')}]`
    }
    const other = machine.status?.snapshotInProgress
    return other && other !== snapshot.metadata.name ? ` snapshot "${other}" in progress` : undefined
  }

  const usesOneOf = (names: string[]) => (volume: any) => names.includes(volume.persistentVolumeClaim?.claimName)

  async function lock(snapshot: StoredObject, machine: StoredObject): Promise<void> {
    const { name } = snapshot.metadata
    if (machine.status?.snapshotInProgress !== name)
      machine = await client.updateStatus(virtualMachines, {
        ...machine,
        status: { ...machine.status, snapshotInProgress: name },
      })
    await holdWith(context, virtualMachines, machine, sourceFinalizer, true)
  }

  async function unlock(snapshot: StoredObject, machine: StoredObject): Promise<void> {
    if (machine.status?.snapshotInProgress !== snapshot.metadata.name) return
    const held = await holdWith(context, virtualMachines, machine, sourceFinalizer, false)
    if (!held) return
    const { snapshotInProgress: _, ...status } = held.status!
    await client.updateStatus(virtualMachines, { ...held, status }).catch((error) => {
      if (!isApiError(error, 'NotFound')) throw error
    })
  }

  async function createContent(snapshot: StoredObject, machine: StoredObject): Promise<void> {
    const { namespace } = snapshot.metadata
    const bound = new Map(
      [...claimsByVolume(machine).values()].flatMap((name) => {
        const claim = claims.get(`${namespace}/${name}`)
        return claim?.status?.phase === 'Bound' ? [[name, claim] as const] : []
      }),
    )
    const wanted = contentOf(snapshot, machine, bound)
    await client.create(virtualMachineSnapshotContents, wanted).catch((error) => {
      if (!isApiError(error, 'AlreadyExists')) throw error
    })
    const text = `Successfully created VirtualMachineSnapshotContent ${wanted.metadata.name}`
    record(snapshot, 'Normal', 'SuccessfulVirtualMachineSnapshotContentCreate', text)
  }

  /** A snapshot that is deleted or too late gives up what it made. */
  async function endContent(snapshot: StoredObject, content: StoredObject): Promise<StoredObject | undefined> {
    const released = await holdWith(context, virtualMachineSnapshotContents, content, contentFinalizer, false)
    if (!released || !deletesContent(snapshot, content)) return released
    const { name, namespace } = content.metadata
    await client.delete(virtualMachineSnapshotContents, name, namespace).catch((error) => {
      if (!isApiError(error, 'NotFound')) throw error
    })
    return undefined
  }

  async function advance(snapshot: StoredObject, machine: StoredObject, content: StoredObject | undefined) {
    const problem = isLocked(machine, snapshot) ? undefined : obstacle(snapshot, machine)
    if (problem) return problem
    if (!isLocked(machine, snapshot)) await lock(snapshot, machine)
    else if (!content) await createContent(snapshot, machine)
    return undefined
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    let snapshot = snapshots.get(key)
    if (!snapshot) {
      await releaseOrphan(key)
      return undefined
    }
    const now = clock.now()
    const { namespace } = snapshot.metadata
    const contentKey = `${namespace}/${contentName(snapshot)}`
    const machineKey = `${namespace}/${snapshot.spec.source.name}`
    const terminating = isTerminating(snapshot, now)
    if (!terminating) snapshot = (await holdWith(context, virtualMachineSnapshots, snapshot, snapshotFinalizer, true))!
    if (!snapshot) return undefined
    let content = contents.get(contentKey)
    if (terminating && content) content = await endContent(snapshot, content)
    const machine = machines.get(machineKey)
    let problem: string | undefined
    if (machine && snapshot.status) {
      if (!isProgressing(snapshot) || terminating) await unlock(snapshot, machine)
      else problem = await advance(snapshot, machine, content)
    }
    await writeStatus(snapshot, contents.get(contentKey), sourceOf(snapshot, machines.get(machineKey), problem))
    if (snapshot.metadata.deletionTimestamp)
      await holdWith(context, virtualMachineSnapshots, snapshots.get(key) ?? snapshot, snapshotFinalizer, false)
    if (problem) return { requeueAfter: retryMs }
    const left = isProgressing(snapshot) ? timeLeft(snapshot, now) : undefined
    return left === undefined ? undefined : { requeueAfter: Math.max(left, 0) + 1_000 }
  }

  async function writeStatus(snapshot: StoredObject, content: StoredObject | undefined, source: Source | undefined) {
    const status = snapshotStatus(snapshot, content, source, clock.now())
    if (semanticallyEqual(status, snapshot.status)) return
    const { name, namespace } = snapshot.metadata
    const current = snapshots.get(`${namespace}/${name}`) ?? snapshot
    await client.updateStatus(virtualMachineSnapshots, { ...current, status }).catch((error) => {
      if (!isApiError(error, 'NotFound')) throw error
    })
  }

  /** A content whose snapshot is gone was kept on purpose, or is being deleted by a person: nothing holds it. */
  async function releaseOrphan(key: string): Promise<void> {
    const [namespace] = key.split('/')
    for (const content of contents.list(namespace))
      if (`${namespace}/${content.spec.virtualMachineSnapshotName}` === key)
        await holdWith(context, virtualMachineSnapshotContents, content, contentFinalizer, false)
  }
}
