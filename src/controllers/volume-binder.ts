// Claims and volumes: matching, binding, making and reclaiming local volumes. Phases, annotations and events of
// pkg/controller/volume/persistentvolume (1.32).

import { isApiError } from '../api/errors.ts'
import type { StoredObject } from '../api/meta.ts'
import { objectKey } from '../api/meta.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { filledFromAnnotation, isBeingFilled } from '../kinds/snapshot/memory.ts'
import { localProvisioner, provisionedBy } from '../kinds/storage/local-provisioner.ts'
import { type ControllerContext, type ControllerDefinition, reconcileOn } from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { localVolume, localVolumePath } from './local-volumes.ts'
import {
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
  virtualMachineInstances,
  volumeSnapshotContents,
  volumeSnapshots,
} from './resources.ts'
import {
  bindCompleted,
  boundByController,
  claimsOfMachine,
  classOf,
  defaultStorageClass,
  isBoundTo,
  matchingVolume,
  selectedNode,
} from './volume-matching.ts'
import { sourceRefusal } from './volume-restore-plan.ts'
import { createVolumeSources, type VolumeSources } from './volume-sources.ts'

const claimPrefix = 'claim/'
const volumePrefix = 'volume/'
/** Before the key of a claim that is copied into others. */
const sourcePrefix = 'source/'
const storageProvisioner = 'volume.kubernetes.io/storage-provisioner'
const betaStorageProvisioner = 'volume.beta.kubernetes.io/storage-provisioner'
const retryMs = 15_000

export const volumeBinder: ControllerDefinition = {
  name: 'persistentvolume-binder',
  start(context) {
    const claims = context.informers.informer(persistentVolumeClaims)
    const sources = createVolumeSources(context)
    const heldBy = (object: StoredObject) => sources.heldBy(object).map((key) => sourcePrefix + key)
    const waitingFor = (source: StoredObject) => sources.waitingFor(source).map((key) => claimPrefix + key)
    const claimKey = (claim: StoredObject) => claimPrefix + objectKey(claim)
    const pendingClaims = () =>
      claims
        .list()
        .filter((claim) => claim.status?.phase !== 'Bound')
        .map(claimKey)
    return reconcileOn(
      context,
      'persistentvolume-binder',
      [
        {
          ref: persistentVolumeClaims,
          keys: (claim) => [
            claimKey(claim),
            ...(claim.spec.volumeName ? [volumePrefix + claim.spec.volumeName] : []),
            ...waitingFor(claim),
            ...heldBy(claim),
          ],
        },
        {
          ref: persistentVolumes,
          keys: (volume) => {
            const reference = volume.spec.claimRef
            const claimed = reference ? [`${claimPrefix}${reference.namespace}/${reference.name}`] : pendingClaims()
            return [volumePrefix + volume.metadata.name, ...claimed, ...heldBy(volume)]
          },
        },
        { ref: storageClasses, keys: pendingClaims },
        {
          ref: virtualMachineInstances,
          keys: (machine) =>
            claimsOfMachine(machine).map((name) => `${claimPrefix}${machine.metadata.namespace}/${name}`),
        },
        { ref: volumeSnapshots, keys: waitingFor },
        // Only for the informers: a volume is made on the node that is there.
        { ref: nodes, keys: () => [] },
        { ref: volumeSnapshotContents, keys: () => [] },
      ],
      createSync(context, sources),
      // One at a time: two claims must not get the same volume.
      1,
    )
  },
}

function createSync(context: ControllerContext, sources: VolumeSources) {
  const { client, informers, settings } = context
  const record = context.recorder('persistentvolume-controller')
  const claims = informers.informer(persistentVolumeClaims)
  const volumes = informers.informer(persistentVolumes)
  const classes = informers.informer(storageClasses)
  const machines = informers.informer(virtualMachineInstances)
  const nodeInformer = informers.informer(nodes)

  async function syncBound(claim: StoredObject): Promise<undefined> {
    const volume = claim.spec.volumeName ? volumes.get(claim.spec.volumeName) : undefined
    if (volume && (!volume.spec.claimRef || isBoundTo(volume, claim))) return bind(claim, volume)
    if (claim.status?.phase === 'Lost') return
    const message = !claim.spec.volumeName
      ? 'Bound claim has lost reference to PersistentVolume. Data on the volume is lost!'
      : volume
        ? 'Two claims are bound to the same volume, this one is bound incorrectly'
        : 'Bound claim has lost its PersistentVolume. Data on the volume is lost!'
    await setStatus(claim, { ...claim.status, phase: 'Lost' })
    record(claim, 'Warning', volume ? 'ClaimMisbound' : 'ClaimLost', message)
  }

  async function syncUnbound(claim: StoredObject): Promise<ReconcileResult | undefined> {
    if (claim.spec.volumeName) {
      const volume = volumes.get(claim.spec.volumeName)
      if (volume && (!volume.spec.claimRef || isBoundTo(volume, claim))) await bindWhenFull(claim, volume)
      else await setStatus(claim, { ...claim.status, phase: 'Pending' })
      return undefined
    }
    const storageClass = classes.get(classOf(claim) ?? '')
    const isDelayed = storageClass?.volumeBindingMode === 'WaitForFirstConsumer' && !hasConsumer(claim)
    const volume = matchingVolume(claim, volumes.list(), isDelayed)
    if (volume) {
      await bindWhenFull(claim, volume)
      return undefined
    }
    await setStatus(claim, { ...claim.status, phase: 'Pending' })
    if (claim.metadata.deletionTimestamp) return undefined
    return isDelayed ? waitForConsumer(claim) : obtain(claim, storageClass)
  }

  /** As with a CSI driver, a claim that is restored or cloned is bound when its data is there. */
  async function bindWhenFull(claim: StoredObject, volume: StoredObject): Promise<void> {
    if (isBeingFilled(volume)) return setStatus(claim, { ...claim.status, phase: 'Pending' })
    if (volume.metadata.annotations?.[filledFromAnnotation]) provisioned(claim, volume.metadata.name)
    await bind(claim, volume)
  }

  const provisioned = (claim: StoredObject, name: string) =>
    record(claim, 'Normal', 'ProvisioningSucceeded', `Successfully provisioned volume ${name}`)

  /** The scheduler chose a node for a Pod that uses the claim, or a machine uses it: machines have only this node. */
  const hasConsumer = (claim: StoredObject): boolean =>
    Boolean(claim.metadata.annotations?.[selectedNode]) ||
    machines.list(claim.metadata.namespace).some((machine) => claimsOfMachine(machine).includes(claim.metadata.name))

  function waitForConsumer(claim: StoredObject): ReconcileResult {
    record(claim, 'Normal', 'WaitForFirstConsumer', 'waiting for first consumer to be created before binding')
    return { requeueAfter: retryMs }
  }

  async function obtain(
    claim: StoredObject,
    storageClass: StoredObject | undefined,
  ): Promise<ReconcileResult | undefined> {
    const name = classOf(claim)
    if (name === undefined) {
      const standard = defaultStorageClass(classes.list())
      if (standard) {
        await client.update(persistentVolumeClaims, {
          ...claim,
          spec: { ...claim.spec, storageClassName: standard.metadata.name },
        })
        return undefined
      }
    }
    if (!name) {
      const text = 'no persistent volumes available for this claim and no storage class is set'
      record(claim, 'Normal', 'FailedBinding', text)
      return { requeueAfter: retryMs }
    }
    if (!storageClass) {
      record(claim, 'Warning', 'ProvisioningFailed', `storageclass.storage.k8s.io "${name}" not found`)
      return { requeueAfter: retryMs }
    }
    if (storageClass.provisioner === 'kubernetes.io/no-provisioner') return undefined
    return storageClass.provisioner === localProvisioner
      ? provision(claim, storageClass)
      : waitForProvisioner(claim, storageClass.provisioner)
  }

  async function waitForProvisioner(claim: StoredObject, provisioner: string): Promise<undefined> {
    if (claim.metadata.annotations?.[storageProvisioner] !== provisioner)
      await annotate(claim, { [storageProvisioner]: provisioner, [betaStorageProvisioner]: provisioner })
    const text = `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`
    record(claim, 'Normal', 'ExternalProvisioning', text)
  }

  async function provision(claim: StoredObject, storageClass: StoredObject): Promise<ReconcileResult | undefined> {
    const refused = sourceRefusal(claim)
    if (refused) {
      record(claim, 'Warning', 'ProvisioningFailed', refused)
      return undefined
    }
    const source = sources.planFor(claim)
    const failed = `failed to provision volume with StorageClass "${storageClass.metadata.name}"`
    if (source && 'problem' in source) {
      record(claim, 'Warning', 'ProvisioningFailed', `${failed}: ${source.problem}`)
      return { requeueAfter: retryMs }
    }
    const nodeName = claim.metadata.annotations?.[selectedNode] ?? nodeInformer.list()[0]?.metadata.name
    if (!nodeName) return { requeueAfter: retryMs }
    if (!(await sources.hold(claim))) return { requeueAfter: retryMs }
    const wanted = localVolume(claim, storageClass, nodeName, settings.volumes.dir, source?.filledFrom)
    try {
      await settings.volumes.create(wanted.spec.local.path)
    } catch (error) {
      record(claim, 'Warning', 'ProvisioningFailed', `${failed}: ${(error as Error).message}`)
      throw error
    }
    if (!claim.metadata.annotations?.[storageProvisioner])
      await annotate(claim, { [storageProvisioner]: localProvisioner, [betaStorageProvisioner]: localProvisioner })
    const volume = await client.create(persistentVolumes, wanted).catch((error) => {
      if (!isApiError(error, 'AlreadyExists')) throw error
      return undefined
    })
    if (source) {
      const text = `External provisioner is provisioning volume for claim "${objectKey(claim)}"`
      record(claim, 'Normal', 'Provisioning', text)
      return undefined
    }
    provisioned(claim, wanted.metadata.name!)
    if (volume) await bind(claims.get(objectKey(claim)) ?? claim, volume)
    return undefined
  }

  /** Both ends in turn; each step is skipped when it is done already, so that a crash between two is no harm. */
  async function bind(claim: StoredObject, volume: StoredObject): Promise<undefined> {
    const bound = volume.spec.claimRef?.uid === claim.metadata.uid ? volume : await claimVolume(claim, volume)
    await setPhase(bound, 'Bound')
    const { annotations = {} } = claim.metadata
    let current = claim
    if (claim.spec.volumeName !== volume.metadata.name || !annotations[bindCompleted]) {
      const added: Record<string, string> = { [bindCompleted]: 'yes' }
      if (!claim.spec.volumeName) added[boundByController] = 'yes'
      current = await client.update(persistentVolumeClaims, {
        ...claim,
        metadata: { ...claim.metadata, annotations: { ...annotations, ...added } },
        spec: { ...claim.spec, volumeName: volume.metadata.name },
      })
    }
    const { accessModes, capacity } = volume.spec
    await setStatus(current, { ...current.status, phase: 'Bound', accessModes, capacity })
  }

  function claimVolume(claim: StoredObject, volume: StoredObject): Promise<StoredObject> {
    const { namespace, name, uid, resourceVersion } = claim.metadata
    const claimRef = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid, resourceVersion }
    const annotations = { ...volume.metadata.annotations }
    if (!volume.spec.claimRef) annotations[boundByController] = 'yes'
    return client.update(persistentVolumes, {
      ...volume,
      metadata: { ...volume.metadata, annotations },
      spec: { ...volume.spec, claimRef },
    })
  }

  async function syncVolume(volume: StoredObject): Promise<void> {
    const reference = volume.spec.claimRef
    if (!reference?.uid) return setPhase(volume, 'Available')
    const claim = claims.get(`${reference.namespace}/${reference.name}`)
    if (!claim || claim.metadata.uid !== reference.uid) return release(volume, reference)
    if (claim.spec.volumeName === volume.metadata.name) return setPhase(volume, 'Bound')
    if (claim.spec.volumeName) return release(volume, reference)
  }

  /** The claim is gone, so the volume goes the way of its reclaim policy; the server is asked before data is removed. */
  async function release(volume: StoredObject, reference: { namespace: string; name: string; uid: string }) {
    const claim = await client.get(persistentVolumeClaims, reference.name, reference.namespace).catch((error) => {
      if (!isApiError(error, 'NotFound')) throw error
      return undefined
    })
    if (claim?.metadata.uid === reference.uid && claim.spec.volumeName === volume.metadata.name) return
    if (claim?.metadata.uid === reference.uid && !claim.spec.volumeName) return
    if (volume.status?.phase !== 'Released' && volume.status?.phase !== 'Failed') await setPhase(volume, 'Released')
    const policy = volume.spec.persistentVolumeReclaimPolicy
    if (policy === 'Recycle') return fail(volume, 'VolumeFailedRecycle', 'No recycler plugin found for the volume!')
    if (policy !== 'Delete') return
    const path = localVolumePath(volume, settings.volumes.dir)
    if (!path) {
      const { name, annotations } = volume.metadata
      // Whoever made it from outside removes it.
      if (annotations?.[provisionedBy]) return
      const text = `error getting deleter volume plugin for volume "${name}": no deletable volume plugin matched`
      return fail(volume, 'VolumeFailedDelete', text)
    }
    try {
      await settings.volumes.remove(path)
    } catch (error) {
      await fail(volume, 'VolumeFailedDelete', `cannot remove ${path}: ${(error as Error).message}`)
      throw error
    }
    const { name, uid } = volume.metadata
    if (volume.metadata.deletionTimestamp) return
    await client.delete(persistentVolumes, name, undefined, { preconditions: { uid } }).catch((error) => {
      if (!isApiError(error, 'NotFound')) throw error
    })
  }

  /** Its data is still there and nobody can reclaim it: a person has to look. */
  async function fail(volume: StoredObject, reason: string, message: string): Promise<void> {
    if (volume.status?.phase === 'Failed' && volume.status.message === message) return
    const current = volumes.get(volume.metadata.name) ?? volume
    await client.updateStatus(persistentVolumes, {
      ...current,
      status: { ...current.status, phase: 'Failed', message },
    })
    record(volume, 'Warning', reason, message)
  }

  const annotate = async (claim: StoredObject, annotations: Record<string, string>): Promise<void> => {
    const { name, namespace } = claim.metadata
    await client.patch(persistentVolumeClaims, name, namespace, 'merge', { metadata: { annotations } })
  }

  async function setPhase(volume: StoredObject, phase: string): Promise<void> {
    if (volume.status?.phase === phase) return
    const current = volumes.get(volume.metadata.name) ?? volume
    await client.updateStatus(persistentVolumes, { ...current, status: { ...current.status, phase } })
  }

  async function setStatus(claim: StoredObject, status: Record<string, unknown>): Promise<void> {
    if (!semanticallyEqual(status, claim.status))
      await client.updateStatus(persistentVolumeClaims, { ...claim, status })
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    if (key.startsWith(volumePrefix)) {
      const volume = volumes.get(key.slice(volumePrefix.length))
      if (volume) await syncVolume(volume)
      return undefined
    }
    if (key.startsWith(sourcePrefix)) {
      await sources.release(key.slice(sourcePrefix.length))
      return undefined
    }
    const claim = claims.get(key.slice(claimPrefix.length))
    if (!claim) return undefined
    return claim.metadata.annotations?.[bindCompleted] ? syncBound(claim) : syncUnbound(claim)
  }
}
