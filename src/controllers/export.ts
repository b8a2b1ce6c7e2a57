// VirtualMachineExport: finds what is to be exported, says where and whether it can be taken, and goes when its time is
// over. The bytes themselves are served by the API server (src/server/exports).

import { randomInt } from 'node:crypto'
import { isApiError } from '../api/errors.ts'
import type { ApiObject, ResourceRef, StoredObject } from '../api/meta.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { filledFromAnnotation, isBeingFilled } from '../kinds/snapshot/memory.ts'
import { type ControllerContext, type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import {
  claimCondition,
  claimVolumes,
  type ExportSource,
  expiresAt,
  exportService,
  exportSlice,
  exportStatus,
  exportToken,
  holdsDisk,
  isLive,
  isPopulated,
} from './export-plan.ts'
import { controllerReference } from './ownership.ts'
import { isFinished } from './pod-state.ts'
import {
  endpointSlices,
  nodes,
  persistentVolumeClaims,
  pods,
  secrets,
  services,
  virtualMachineExports,
  virtualMachineInstances,
  virtualMachineSnapshotContents,
  virtualMachineSnapshots,
  virtualMachines,
} from './resources.ts'
import { selectedNode } from './volume-matching.ts'

const tokenLetters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const tokenLength = 20

export const virtualMachineExport: ControllerDefinition = {
  name: 'virtualmachineexport',
  start(context) {
    const exports = context.informers.informer(virtualMachineExports)
    /** Exports are few and short-lived: whatever may matter to one of the namespace lets all of them be looked at. */
    const inNamespace = ({ metadata }: StoredObject) => exports.list(metadata.namespace).flatMap(itself)
    const others = [virtualMachines, virtualMachineInstances, virtualMachineSnapshots, persistentVolumeClaims, pods]
    return reconcileOn(
      context,
      'virtualmachineexport',
      [{ ref: virtualMachineExports, keys: itself }, ...others.map((ref) => ({ ref, keys: inNamespace }))],
      createSync(context),
    )
  },
}

function createSync(context: ControllerContext) {
  const { client, informers, clock, settings } = context
  const record = context.recorder('export-controller')
  const exports = informers.informer(virtualMachineExports)
  const machines = informers.informer(virtualMachines)
  const instances = informers.informer(virtualMachineInstances)
  const snapshots = informers.informer(virtualMachineSnapshots)
  const claims = informers.informer(persistentVolumeClaims)
  const podInformer = informers.informer(pods)
  const nodeInformer = informers.informer(nodes)

  /** False when it was there already. */
  async function ensure(ref: ResourceRef, object: ApiObject): Promise<boolean> {
    try {
      await client.create(ref, object)
      return true
    } catch (error) {
      if (isApiError(error, 'AlreadyExists')) return false
      throw error
    }
  }

  async function provide(owner: StoredObject): Promise<void> {
    const { namespace } = owner.metadata
    const service = exportService(owner)
    if (!owner.status?.serviceName) {
      if (await ensure(services, service))
        record(owner, 'Normal', 'ServiceCreated', `Created service ${namespace}/${service.metadata.name}`)
      await ensure(endpointSlices, exportSlice(owner, settings.api))
    }
    if (owner.spec.tokenSecretRef || owner.status?.tokenSecretRef) return
    const token = Array.from({ length: tokenLength }, () => tokenLetters[randomInt(tokenLetters.length)]).join('')
    const secret = exportToken(owner, token)
    if (await ensure(secrets, secret))
      record(owner, 'Normal', 'SecretCreated', `Created default secret ${namespace}/${secret.metadata.name}`)
  }

  /** Somebody has the claim, so it may change while it is read. */
  function isInUse(namespace: string, name: string): boolean {
    const byInstance = instances
      .list(namespace)
      .some((one) => isLive(one) && claimVolumes(one.spec).some((volume) => volume.claimName === name && volume.isDisk))
    const byPod = () =>
      podInformer
        .list(namespace)
        .some(
          (pod) =>
            pod.spec.nodeName &&
            !isFinished(pod) &&
            pod.spec.volumes?.some((volume: any) => volume.persistentVolumeClaim?.claimName === name),
        )
    return byInstance || byPod()
  }

  const isDiskOfMachine = (namespace: string, name: string): boolean =>
    [
      ...machines.list(namespace).map(({ spec }) => spec.template?.spec),
      ...instances.list(namespace).map((i) => i.spec),
    ]
      .flatMap(claimVolumes)
      .some((volume) => volume.claimName === name && volume.isDisk)

  function fromClaim({ metadata, spec }: StoredObject): ExportSource {
    const namespace = metadata.namespace!
    const { name } = spec.source
    const key = `${namespace}/${name}`
    const claim = claims.get(key)
    const condition = claimCondition(claim, key)
    if (!claim) return { claims: undefined, condition, hasMachine: false }
    const isDisk = holdsDisk(claim, isDiskOfMachine(namespace, name))
    const found: ExportSource = { claims: [{ claim, name, isDisk }], condition, hasMachine: false }
    if (!isPopulated(claim))
      return {
        ...found,
        obstacle: { reason: 'PVCPending', message: `PersistentVolumeClaim ${key} is not populated` },
      }
    if (isInUse(namespace, name))
      return { ...found, obstacle: { reason: 'InUse', message: `PersistentVolumeClaim ${key} is in use` } }
    return found
  }

  function fromMachine({ metadata, spec }: StoredObject): ExportSource {
    const namespace = metadata.namespace!
    const { name } = spec.source
    const key = `${namespace}/${name}`
    const base = { hasMachine: true, machineName: name as string }
    const machine = machines.get(key)
    if (!machine)
      return {
        ...base,
        claims: undefined,
        obstacle: { reason: 'VMNotFound', message: `Virtual Machine ${key} not found` },
      }
    const volumes = claimVolumes(machine.spec.template?.spec)
    const found = volumes.flatMap(({ claimName, isDisk }) => {
      const claim = claims.get(`${namespace}/${claimName}`)
      return claim ? [{ claim, name: claimName, isDisk: holdsDisk(claim, isDisk) }] : []
    })
    if (volumes.length === 0)
      return {
        ...base,
        claims: [],
        skipped: true,
        obstacle: { reason: 'VMNoVolumes', message: `Virtual Machine ${key} has no volumes` },
      }
    if (found.length < volumes.length || !found.every(({ claim }) => isPopulated(claim)))
      return {
        ...base,
        claims: undefined,
        obstacle: {
          reason: 'VolumesNotPopulated',
          message: `Not all volumes in the Virtual Machine ${key} are populated`,
        },
      }
    if (isLive(instances.get(key)))
      return { ...base, claims: found, obstacle: { reason: 'InUse', message: `Virtual Machine ${key} is running` } }
    return { ...base, claims: found }
  }

  async function fromSnapshot(owner: StoredObject): Promise<ExportSource> {
    const namespace = owner.metadata.namespace!
    const key = `${namespace}/${owner.spec.source.name}`
    const snapshot = snapshots.get(key)
    const created = (reason: string, message = ''): ExportSource['condition'] => ({
      type: 'VolumesCreated',
      status: reason === 'AllPVCsReady' ? 'True' : 'False',
      reason,
      message,
    })
    const nothing = `VirtualMachineSnapshot ${key} does not contain any volume snapshots`
    if (!snapshot)
      return {
        claims: undefined,
        skipped: true,
        hasMachine: false,
        obstacle: { reason: 'VMSnapshotNotFound', message: `VirtualMachineSnapshot ${key} not found` },
        condition: created('VMSnapshotNoVolumes', nothing),
      }
    const base = { hasMachine: true, machineName: snapshot.spec.source?.name as string }
    if (snapshot.status?.readyToUse !== true) {
      const message = `VirtualMachineSnapshot ${key} is not ready to use`
      return {
        ...base,
        claims: undefined,
        obstacle: { reason: 'NotAllPVCsCreated', message },
        condition: created('NotAllPVCsCreated', message),
      }
    }
    const content = await client.get(
      virtualMachineSnapshotContents,
      snapshot.status.virtualMachineSnapshotContentName,
      namespace,
    )
    const backups: any[] = content.spec.volumeBackups ?? []
    if (backups.length === 0)
      return { ...base, claims: [], skipped: true, condition: created('VMSnapshotNoVolumes', nothing) }
    const nodeName = nodeInformer.list()[0]?.metadata.name ?? ''
    for (const backup of backups) await ensure(persistentVolumeClaims, filledClaim(owner, content, backup, nodeName))
    const made = backups.flatMap((backup) => {
      const name = backup.persistentVolumeClaim.metadata.name
      const claim = claims.get(`${namespace}/${owner.metadata.name}-${name}`)
      return claim && isPopulated(claim) && !isBeingFilled(claim) ? [{ claim, name, isDisk: true }] : []
    })
    return made.length === backups.length
      ? { ...base, claims: made, condition: created('AllPVCsReady') }
      : { ...base, claims: undefined, condition: created('NotAllPVCsReady', 'Not all PVCs are ready') }
  }

  async function sourceOf(owner: StoredObject): Promise<ExportSource> {
    switch (owner.spec.source.kind) {
      case 'VirtualMachine':
        return fromMachine(owner)
      case 'VirtualMachineSnapshot':
        return await fromSnapshot(owner)
      default:
        return fromClaim(owner)
    }
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    const owner = exports.get(key)
    if (!owner || owner.metadata.deletionTimestamp) return undefined
    const left = expiresAt(owner) - clock.now()
    if (left <= 0) {
      const { name, namespace, uid } = owner.metadata
      await client
        .delete(virtualMachineExports, name, namespace, { preconditions: { uid } })
        .catch((error: unknown) => {
          if (!isApiError(error, 'NotFound')) throw error
        })
      return undefined
    }
    await provide(owner)
    const places = {
      cert: settings.caCertificate,
      ...(settings.externalAddress && { external: settings.externalAddress }),
    }
    const status = exportStatus(owner, await sourceOf(owner), places, clock.now())
    if (!semanticallyEqual(status, owner.status)) await client.updateStatus(virtualMachineExports, { ...owner, status })
    return { requeueAfter: left }
  }
}

/** A claim of its own for a volume of a snapshot; the host fills it. */
function filledClaim(owner: StoredObject, content: StoredObject, backup: any, nodeName: string): ApiObject {
  const { metadata, spec } = backup.persistentVolumeClaim
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: `${owner.metadata.name}-${metadata.name}`,
      namespace: owner.metadata.namespace!,
      annotations: {
        'cdi.kubevirt.io/storage.contentType': 'kubevirt',
        // It is filled before anything uses it, so it is bound without waiting for a user.
        [selectedNode]: nodeName,
        [filledFromAnnotation]: `${content.metadata.name}/${backup.volumeName}`,
      },
      ownerReferences: [controllerReference(owner)],
    },
    spec: {
      accessModes: spec.accessModes,
      resources: spec.resources,
      ...(spec.volumeMode && { volumeMode: spec.volumeMode }),
      ...(spec.storageClassName && { storageClassName: spec.storageClassName }),
    },
  }
}
