// VirtualMachineRestore: new claims that the host fills from the snapshot, then the machine on them.

import { isApiError } from '../api/errors.ts'
import type { StoredObject } from '../api/meta.ts'
import { objectKey } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { isBeingFilled, wantsMemory } from '../kinds/snapshot/memory.ts'
import type { ConditionStatus } from './conditions.ts'
import { type ControllerContext, type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { moment } from './moment.ts'
import { controllerReference } from './ownership.ts'
import {
  nodes,
  persistentVolumeClaims,
  virtualMachineInstances,
  virtualMachineRestores,
  virtualMachineSnapshotContents,
  virtualMachineSnapshots,
  virtualMachines,
} from './resources.ts'
import {
  adoption,
  isFilled,
  isOfRestore,
  isOver,
  restoredClaim,
  restoredMachine,
  restoreFinalizer,
  restoreName,
  type VolumeRestore,
  volumeRestores,
} from './restore-plan.ts'
import { holdWith } from './snapshot.ts'
import { isFailed, isReadyToUse, withReason } from './snapshot-plan.ts'

const graceMs = 300_000
const lookMs = 5_000
const elsewhere = 'restore source and restore target are different but restore target already exists'
const policies: Record<string, string> = {
  WaitEventually: 'Waiting for target VM to be powered off. Please stop the restore target to proceed with restore',
  StopTarget: 'Automatically stopping restore target for restore operation',
  WaitGracePeriod:
    'Waiting for target VM to be powered off. Please stop the restore target to proceed with restore, or the operation will fail after 5m0s',
}
const graceOver =
  'Restore target failed to be ready within 5m0s. Please power off the target VM before attempting restore'
const mustBeOff = 'Restore target VMI must be powered off before restore operation'

export const virtualMachineRestore: ControllerDefinition = {
  name: 'virtualmachinerestore',
  start(context) {
    const restores = context.informers.informer(virtualMachineRestores)
    restores.addIndex('target', ({ metadata, spec }) => [`${metadata.namespace}/${spec.target?.name}`])
    const ofTarget = (object: StoredObject) => restores.byIndex('target', objectKey(object)).flatMap(itself)
    const ofSnapshot = (namespace: string | undefined, name: string) =>
      restores.list(namespace).flatMap((one) => (one.spec.virtualMachineSnapshotName === name ? itself(one) : []))
    return reconcileOn(
      context,
      'virtualmachinerestore',
      [
        { ref: virtualMachineRestores, keys: itself },
        { ref: virtualMachines, keys: ofTarget },
        { ref: virtualMachineInstances, keys: ofTarget },
        {
          ref: persistentVolumeClaims,
          keys: ({ metadata: { namespace, annotations } }) =>
            annotations?.[restoreName] ? [`${namespace}/${annotations[restoreName]}`] : [],
        },
        {
          ref: virtualMachineSnapshots,
          keys: ({ metadata: { namespace, name } }) => ofSnapshot(namespace, name),
        },
        // Only for their informers.
        { ref: virtualMachineSnapshotContents, keys: () => [] },
        { ref: nodes, keys: () => [] },
      ],
      createSync(context),
    )
  },
}

/** What the restore waits for, or why it failed for good. */
class Halt extends Error {
  readonly progressing: string
  readonly isFinal: boolean
  readonly status: ConditionStatus
  constructor(ready: string, options: { progressing?: string; isFinal?: boolean; status?: ConditionStatus } = {}) {
    super(ready)
    this.progressing = options.progressing ?? ready
    this.isFinal = options.isFinal ?? false
    this.status = options.status ?? 'False'
  }
}

const waiting = (progressing: string, ready: string) => new Halt(ready, { progressing, status: 'True' })

function createSync(context: ControllerContext) {
  const { client, informers, clock } = context
  const record = context.recorder('restore-controller')
  const restores = informers.informer(virtualMachineRestores)
  const snapshots = informers.informer(virtualMachineSnapshots)
  const contents = informers.informer(virtualMachineSnapshotContents)
  const machines = informers.informer(virtualMachines)
  const instances = informers.informer(virtualMachineInstances)
  const claims = informers.informer(persistentVolumeClaims)
  const nodeInformer = informers.informer(nodes)

  const targetOf = ({ metadata, spec }: StoredObject) => machines.get(`${metadata.namespace}/${spec.target.name}`)

  async function writeStatus(restore: StoredObject, change: Record<string, unknown>): Promise<StoredObject> {
    const current = restores.get(objectKey(restore)) ?? restore
    const status = { ...current.status, ...change }
    if (semanticallyEqual(status, current.status)) return current
    return await client.updateStatus(virtualMachineRestores, { ...current, status })
  }

  function conditions(restore: StoredObject, progressing: [ConditionStatus, string], ready: [ConditionStatus, string]) {
    const now = clock.now()
    const first = withReason(restore.status?.conditions, 'Progressing', ...progressing, now)
    return withReason(first, 'Ready', ...ready, now)
  }

  /** The snapshot's content, whole and ready. */
  function contentOf(restore: StoredObject): { snapshot: StoredObject; content: StoredObject } {
    const { namespace } = restore.metadata
    const key = `${namespace}/${restore.spec.virtualMachineSnapshotName}`
    const snapshot = snapshots.get(key)
    if (!snapshot) throw new Halt(`VMSnapshot ${key} does not exist`)
    if (isFailed(snapshot)) throw new Halt(`VMSnapshot ${key} failed and is invalid to use`)
    if (!isReadyToUse(snapshot)) throw new Halt(`VMSnapshot ${key} not ready`)
    const contentKey = `${namespace}/${snapshot.status!.virtualMachineSnapshotContentName}`
    const content = contents.get(contentKey)
    if (!content) throw new Halt(`VMSnapshotContent ${contentKey} does not exist`)
    if (!isReadyToUse(content)) throw new Halt(`VMSnapshotContent ${contentKey} not ready`)
    if (!content.spec.source?.virtualMachine) throw new Halt('unexpected snapshot source')
    if (wantsMemory(restore) && !wantsMemory(content))
      throw new Halt(
        `VMSnapshot ${key} holds no memory: take the annotation tandem.dev/memory off the restore, or take a snapshot that has it`,
        { isFinal: true },
      )
    return { snapshot, content }
  }

  async function requireOff(restore: StoredObject, target: StoredObject): Promise<void> {
    const instance = instances.get(objectKey(target))
    if (!instance) return
    const policy = restore.spec.targetReadinessPolicy ?? 'WaitGracePeriod'
    const overdue = clock.now() - moment(restore.metadata.creationTimestamp) > graceMs
    if (policy === 'FailImmediate') throw new Halt(mustBeOff, { isFinal: true })
    if (policy === 'WaitGracePeriod' && overdue) throw new Halt(graceOver, { isFinal: true })
    if (policy === 'StopTarget') await stop(target)
    throw new Halt(policies[policy]!)
  }

  /** As the stop command does. */
  async function stop({ metadata: { name, namespace }, spec }: StoredObject): Promise<void> {
    if (spec.runStrategy === 'Halted' || spec.running === false) return
    const change = spec.running === undefined ? { runStrategy: 'Halted' } : { running: false }
    await client.patch(virtualMachines, name, namespace, 'merge', { spec: change })
  }

  async function reserve(restore: StoredObject, target: StoredObject): Promise<void> {
    const { name } = restore.metadata
    const other = target.status?.restoreInProgress
    if (other === name || isOfRestore(restore, target)) return
    if (other) throw new Halt(`vm restore ${other} in progress`)
    await client.updateStatus(virtualMachines, { ...target, status: { ...target.status, restoreInProgress: name } })
  }

  async function reconcileClaims(restore: StoredObject, content: StoredObject, target: StoredObject | undefined) {
    const { namespace } = restore.metadata
    const [node] = nodeInformer.list()
    let isWaiting = false
    for (const one of (restore.status!.restores ?? []) as VolumeRestore[]) {
      const claim = claims.get(`${namespace}/${one.persistentVolumeClaim}`)
      if (!claim) {
        const wanted = restoredClaim(restore, content, one, target, node?.metadata.name ?? '')
        await client.create(persistentVolumeClaims, wanted)
      } else if (!isOfRestore(restore, claim)) {
        if (restore.spec.volumeRestorePolicy !== 'InPlace')
          throw new Halt(
            `PVC ${namespace}/${claim.metadata.name} exists and is not of this restore: rename or delete it`,
          )
        if (!claim.metadata.deletionTimestamp)
          await client.delete(persistentVolumeClaims, claim.metadata.name, namespace)
      }
      isWaiting ||= !claim || !isOfRestore(restore, claim) || claim.status?.phase !== 'Bound' || !isFilled(claim)
    }
    if (isWaiting) throw waiting('Creating new PVCs', 'Waiting for new PVCs')
  }

  async function reconcileMachine(restore: StoredObject, content: StoredObject, target: StoredObject | undefined) {
    if (target && isOfRestore(restore, target)) {
      if (isBeingFilled(target)) throw waiting('Restoring memory', 'Waiting for memory')
      return target
    }
    const wanted = restoredMachine(restore, content, target)
    if (target) await client.update(virtualMachines, wanted)
    else {
      const made = await client.create(virtualMachines, wanted)
      for (const volume of made.spec.template?.spec?.volumes ?? []) {
        const claim = claims.get(`${made.metadata.namespace}/${volume.persistentVolumeClaim?.claimName}`)
        const change = claim && adoption(restore, claim, made)
        if (change)
          await client.patch(persistentVolumeClaims, claim.metadata.name, claim.metadata.namespace, 'merge', change)
      }
    }
    throw waiting('Updating target spec', 'Waiting for target update')
  }

  async function release(restore: StoredObject, target: StoredObject | undefined): Promise<void> {
    if (!target || target.status?.restoreInProgress !== restore.metadata.name) return
    const { restoreInProgress: _, memoryDumpRequest: __, ...status } = target.status
    await client.updateStatus(virtualMachines, { ...target, status })
  }

  async function advance(restore: StoredObject): Promise<void> {
    const target = targetOf(restore)
    if (target && !isOfRestore(restore, target)) await requireOff(restore, target)
    const { snapshot, content } = contentOf(restore)
    if (target && !isOfRestore(restore, target) && target.metadata.uid !== snapshot.status?.sourceUID)
      throw new Halt(elsewhere)
    if (target) await reserve(restore, target)
    const wanted = volumeRestores(restore, content)
    if (wanted.length && !restore.status!.restores) {
      await writeStatus(restore, { restores: wanted })
      throw waiting('Creating new PVCs', 'Waiting for new PVCs')
    }
    await reconcileClaims(restore, content, target)
    const machine = await reconcileMachine(restore, content, targetOf(restore))
    await release(restore, machine)
  }

  async function remove(restore: StoredObject): Promise<void> {
    await release(restore, targetOf(restore))
    await holdWith(
      context,
      virtualMachineRestores,
      restores.get(objectKey(restore)) ?? restore,
      restoreFinalizer,
      false,
    )
  }

  async function prepared(restore: StoredObject): Promise<StoredObject | undefined> {
    const held = await holdWith(context, virtualMachineRestores, restore, restoreFinalizer, true)
    const target = targetOf(restore)
    if (!held || held.metadata.ownerReferences?.length || !target) return held
    const { name, namespace } = restore.metadata
    const metadata = { ownerReferences: [controllerReference(target)] }
    return await client.patch(virtualMachineRestores, name, namespace, 'merge', { metadata })
  }

  async function halted(restore: StoredObject, halt: Halt): Promise<ReconcileResult> {
    const { message, progressing, isFinal, status } = halt
    let list = conditions(restores.get(objectKey(restore)) ?? restore, [status, progressing], ['False', message])
    if (isFinal) list = withReason(list, 'Failure', 'True', message, clock.now())
    const before = restore.status?.conditions?.find((one: any) => one.type === 'Ready')?.reason
    if (status === 'False' && before !== message)
      record(
        restore,
        'Warning',
        isFinal ? 'Operation failed' : 'VirtualMachineRestoreError',
        `VirtualMachineRestore ${isFinal ? 'failed' : 'encountered error'} ${message}`,
      )
    await writeStatus(restore, { conditions: list })
    if (isFinal) await release(restore, targetOf(restore))
    return { requeueAfter: isFinal ? undefined : lookMs } as ReconcileResult
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    let restore = restores.get(key)
    if (!restore) return undefined
    if (!restore.status) {
      const text = 'Initializing VirtualMachineRestore'
      await writeStatus(restore, { complete: false, conditions: conditions(restore, ['True', text], ['False', text]) })
      return undefined
    }
    if (restore.metadata.deletionTimestamp) {
      await remove(restore)
      return undefined
    }
    if (isOver(restore)) return undefined
    restore = await prepared(restore)
    if (!restore) return undefined
    try {
      await advance(restore)
    } catch (error) {
      if (error instanceof Halt) return halted(restore, error)
      if (!isApiError(error, 'Conflict')) await halted(restore, new Halt((error as Error).message))
      throw error
    }
    const done = 'Operation complete'
    record(
      restore,
      'Normal',
      'VirtualMachineRestoreComplete',
      `Successfully completed VirtualMachineRestore ${restore.metadata.name}`,
    )
    const current = restores.get(key) ?? restore
    await writeStatus(restore, {
      complete: true,
      restoreTime: formatTime(clock.now()),
      conditions: conditions(current, ['False', done], ['True', done]),
    })
    return undefined
  }
}
