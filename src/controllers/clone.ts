// VirtualMachineClone: a snapshot of the source, restored as another machine; both go when the clone is there.

import { isApiError } from '../api/errors.ts'
import type { ApiObject, ResourceRef, StoredObject } from '../api/meta.ts'
import { objectKey } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { cloneRestore, cloneSnapshot, notBackedUp } from './clone-plan.ts'
import {
  type ControllerContext,
  type ControllerDefinition,
  controllerOfKind,
  itself,
  reconcileOn,
} from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import {
  virtualMachineClones,
  virtualMachineRestores,
  virtualMachineSnapshotContents,
  virtualMachineSnapshots,
  virtualMachines,
} from './resources.ts'
import { isFailedRestore } from './restore-plan.ts'
import { isFailed, isReadyToUse, withReason } from './snapshot-plan.ts'

export const virtualMachineClone: ControllerDefinition = {
  name: 'virtualmachineclone',
  start(context) {
    const clones = context.informers.informer(virtualMachineClones)
    clones.addIndex('machine', ({ metadata: { namespace }, spec, status }) =>
      [spec.source?.name, status?.targetName].flatMap((name) => (name ? [`${namespace}/${name}`] : [])),
    )
    const ofName = (object: StoredObject) => clones.byIndex('machine', objectKey(object)).flatMap(itself)
    const owned = controllerOfKind('VirtualMachineClone')
    return reconcileOn(
      context,
      'virtualmachineclone',
      [
        { ref: virtualMachineClones, keys: itself },
        { ref: virtualMachineSnapshots, keys: (snapshot) => [...owned(snapshot), ...ofName(snapshot)] },
        { ref: virtualMachineRestores, keys: owned },
        { ref: virtualMachines, keys: ofName },
        // Only for its informer.
        { ref: virtualMachineSnapshotContents, keys: () => [] },
      ],
      createSync(context),
    )
  },
}

/** It cannot go on: for now, or for good. */
class Stuck extends Error {
  readonly event: string
  readonly isFinal: boolean
  constructor(event: string, message: string, isFinal = true) {
    super(message)
    this.event = event
    this.isFinal = isFinal
  }
}

type Status = Record<string, any>

function createSync(context: ControllerContext) {
  const { client, informers, clock } = context
  const record = context.recorder('clone-controller')
  const [clones, snapshots, contents, restores, machines] = [
    virtualMachineClones,
    virtualMachineSnapshots,
    virtualMachineSnapshotContents,
    virtualMachineRestores,
    virtualMachines,
  ].map((ref) => informers.informer(ref)) as [any, any, any, any, any]

  async function make(ref: ResourceRef, object: ApiObject): Promise<void> {
    await client.create(ref, object).catch((error) => {
      if (!isApiError(error, 'AlreadyExists')) throw error
    })
  }

  async function remove(ref: ResourceRef, name: string | undefined, namespace: string): Promise<void> {
    if (!name) return
    await client.delete(ref, name, namespace).catch((error) => {
      if (!isApiError(error, 'NotFound')) throw error
    })
  }

  const conditions = (status: Status, progressing: [any, string], ready: [any, string]) =>
    withReason(
      withReason(status.conditions, 'Progressing', ...progressing, clock.now()),
      'Ready',
      ...ready,
      clock.now(),
    )

  function requireSource(clone: StoredObject): void {
    const { kind, name } = clone.spec.source
    const key = `${clone.metadata.namespace}/${name}`
    const found = (kind === 'VirtualMachine' ? machines : snapshots).get(key)
    if (!found) throw new Stuck('SourceDoesNotExist', `Source doesnt exist: ${kind} ${key}`, false)
  }

  const ofMachine = ({ spec }: StoredObject) => spec.source.kind === 'VirtualMachine'

  /** The content of the snapshot that it is made from, as soon as that is ready. */
  function readyContent(clone: StoredObject, name: string): StoredObject | undefined {
    const { namespace } = clone.metadata
    const snapshot = snapshots.get(`${namespace}/${name}`)
    if (!snapshot) throw new Stuck('SnapshotDeleted', `snapshot ${name} does not exist anymore`)
    if (isFailed(snapshot)) throw new Stuck('SnapshotContentInvalid', `snapshot ${name} failed`)
    if (!isReadyToUse(snapshot)) return undefined
    const contentName = snapshot.status.virtualMachineSnapshotContentName
    const content = contents.get(`${namespace}/${contentName}`)
    if (!content)
      throw new Stuck(
        'SnapshotContentInvalid',
        `snapshot content ${contentName} in namespace ${namespace} does not exist`,
      )
    const missing = notBackedUp(content)
    if (missing.length)
      throw new Stuck(
        'SnapshotContentInvalid',
        missing.map((volume) => `volume ${volume} is not backed up in snapshot ${name}`).join('\n'),
      )
    return content
  }

  /** The next state, from what there is. Made things have names of their own, so a step may be done twice. */
  async function advance(clone: StoredObject, status: Status): Promise<void> {
    const { namespace, uid } = clone.metadata
    const tell = (event: string, text: string) => record(clone, 'Normal', event, text)
    if (!status.phase) {
      requireSource(clone)
      status.phase = 'SnapshotInProgress'
      status.creationTime = formatTime(clock.now())
      if (!ofMachine(clone)) status.snapshotName = clone.spec.source.name
    }
    if (status.phase === 'SnapshotInProgress') {
      if (!status.snapshotName) {
        status.snapshotName = `tmp-snapshot-${uid}`
        await make(virtualMachineSnapshots, cloneSnapshot(clone))
        tell('SnapshotCreated', `created snapshot ${status.snapshotName} for clone ${clone.metadata.name}`)
        return
      }
      if (!readyContent(clone, status.snapshotName)) return
      tell('SnapshotReady', `snapshot ${status.snapshotName} for clone ${clone.metadata.name} is ready to use`)
      status.phase = 'RestoreInProgress'
    }
    if (status.phase === 'RestoreInProgress') {
      const name = `tmp-restore-${uid}`
      if (!status.restoreName) {
        const content = readyContent(clone, status.snapshotName)
        if (!content) return
        await make(virtualMachineRestores, cloneRestore(clone, content.spec.source.virtualMachine, status.snapshotName))
        status.restoreName = name
        tell('RestoreCreated', `created restore ${name} for clone ${clone.metadata.name}`)
      }
      const restore = restores.get(`${namespace}/${name}`)
      if (!restore) return
      const why = restore.status?.conditions?.find((one: any) => one.type === 'Ready')?.reason
      if (isFailedRestore(restore)) throw new Stuck('RestoreCreationFailed', why ?? 'the restore failed')
      if (/target already exists/.test(why ?? '')) throw new Stuck('RestoreCreationFailed', why)
      if (!restore.status?.complete) return
      tell('RestoreReady', `restore ${name} for clone ${clone.metadata.name} is ready to use`)
      status.phase = 'CreatingTargetVM'
      status.targetName = restore.spec.target.name
    }
    if (status.phase === 'CreatingTargetVM') {
      if (!machines.get(`${namespace}/${status.targetName}`)) return
      tell('TargetVMCreated', `created target VM ${status.targetName} for clone ${clone.metadata.name}`)
      status.phase = 'Succeeded'
    }
  }

  async function cleanUp(clone: StoredObject, status: Status): Promise<void> {
    const { namespace = '' } = clone.metadata
    await remove(virtualMachineRestores, status.restoreName, namespace)
    if (ofMachine(clone)) await remove(virtualMachineSnapshots, status.snapshotName, namespace)
    delete status.restoreName
    delete status.snapshotName
  }

  async function writeStatus(key: string, clone: StoredObject, status: Status): Promise<void> {
    const current = clones.get(key) ?? clone
    if (!semanticallyEqual(status, current.status))
      await client.updateStatus(virtualMachineClones, { ...current, status })
  }

  function stuck(clone: StoredObject, status: Status, { event, message, isFinal }: Stuck): void {
    const before = status.conditions?.find((one: any) => one.type === 'Ready')?.reason
    if (before !== message) record(clone, isFinal ? 'Warning' : 'Normal', event, message)
    if (isFinal) status.phase = 'Failed'
    status.conditions = conditions(status, ['False', isFinal ? 'Failed' : 'Pending'], ['False', message])
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    const clone: StoredObject | undefined = clones.get(key)
    if (!clone || clone.metadata.deletionTimestamp || clone.status?.phase === 'Failed') return undefined
    const { namespace, name } = clone.metadata
    const status: Status = structuredClone(clone.status ?? {})
    if (status.phase === 'Succeeded' && !machines.get(`${namespace}/${status.targetName}`)) {
      // The record of how a machine came to be goes with the machine.
      await remove(virtualMachineClones, name, namespace!)
      return undefined
    }
    try {
      await advance(clone, status)
      const isDone = status.phase === 'Succeeded'
      const text = isDone ? 'Ready' : 'Still processing'
      status.conditions = conditions(status, [isDone ? 'False' : 'True', text], [isDone ? 'True' : 'False', text])
      if (isDone) await cleanUp(clone, status)
    } catch (error) {
      if (!(error instanceof Stuck)) throw error
      stuck(clone, status, error)
    }
    await writeStatus(key, clone, status)
    return undefined
  }
}
