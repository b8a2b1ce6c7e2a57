// DataVolume: makes the claim, and tells how the import into it goes. The import itself is the host's.

import { isApiError } from '../api/errors.ts'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { controllerOf, objectKey } from '../api/meta.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { allowClaimAdoption, bindImmediately, populatedFor, uploadTarget } from '../kinds/cdi/annotations.ts'
import { type CloneSource, resolveSource } from '../kinds/cdi/clone-source.ts'
import { localProvisioner } from '../kinds/storage/local-provisioner.ts'
import {
  type ControllerContext,
  type ControllerDefinition,
  controllerOfKind,
  itself,
  reconcileOn,
} from './controller.ts'
import { isPrePopulated, planClaim } from './data-volume-claim.ts'
import { snapshotOrigin } from './data-volume-snapshot.ts'
import { type DataVolumeEvent, dataVolumeStatus } from './data-volume-status.ts'
import { semanticallyEqual } from './equality.ts'
import { controllerReference } from './ownership.ts'
import {
  cdiConfigs,
  dataSources,
  dataVolumes,
  nodes,
  persistentVolumeClaims,
  storageClasses,
  storageProfiles,
  volumeSnapshotContents,
  volumeSnapshots,
} from './resources.ts'
import { classOf, selectedNode } from './volume-matching.ts'

const retryMs = 5_000

/** `virtctl image-upload pvc` makes one, without a DataVolume. */
const isUploadTarget = ({ metadata }: StoredObject): boolean => metadata.annotations?.[uploadTarget] !== undefined

const isWaiting = ({ status }: StoredObject): boolean => !status?.phase || status.phase === 'Pending'

export const dataVolume: ControllerDefinition = {
  name: 'datavolume',
  start(context) {
    const volumes = context.informers.informer(dataVolumes)
    const waiting = () => volumes.list().filter(isWaiting).map(objectKey)
    return reconcileOn(
      context,
      'datavolume',
      [
        { ref: dataVolumes, keys: itself },
        {
          ref: persistentVolumeClaims,
          // A claim may be what somebody waits for as a source, too.
          keys: (claim) => [
            ...(volumes.get(objectKey(claim)) || isUploadTarget(claim) ? [objectKey(claim)] : []),
            ...controllerOfKind('DataVolume')(claim),
          ],
        },
        { ref: dataSources, keys: waiting },
        { ref: storageProfiles, keys: waiting },
        { ref: storageClasses, keys: waiting },
        { ref: volumeSnapshots, keys: waiting },
        { ref: volumeSnapshotContents, keys: () => [] },
        { ref: cdiConfigs, keys: () => [] },
        { ref: nodes, keys: waiting },
      ],
      createSync(context),
    )
  },
}

interface Outcome {
  claim?: StoredObject | undefined
  problem?: DataVolumeEvent
  source?: CloneSource | undefined
}

function createSync(context: ControllerContext) {
  const { client, informers, clock } = context
  const record = context.recorder('datavolume-controller')
  const volumes = informers.informer(dataVolumes)
  const claims = informers.informer(persistentVolumeClaims)
  const classes = informers.informer(storageClasses)
  const profiles = informers.informer(storageProfiles)
  const sources = informers.informer(dataSources)
  const configs = informers.informer(cdiConfigs)
  const snapshots = informers.informer(volumeSnapshots)
  const contents = informers.informer(volumeSnapshotContents)
  const nodeInformer = informers.informer(nodes)

  const warning = (reason: string, message: string): DataVolumeEvent => ({ type: 'Warning', reason, message })

  function originOf(source: CloneSource): StoredObject | DataVolumeEvent {
    const key = `${source.namespace}/${source.name}`
    if (source.isSnapshot) return snapshotOrigin(source.name, snapshots.get(key), (name) => contents.get(name))
    return claims.get(key) ?? warning('CloneWithoutSource', `The source pvc ${source.name} doesn't exist`)
  }

  async function obtain(volume: StoredObject, source: CloneSource | undefined): Promise<Outcome> {
    const from = source && originOf(source)
    if (from && 'reason' in from) return { source, problem: from as DataVolumeEvent }
    const plan = planClaim({
      volume,
      classes: classes.list(),
      profile: (name) => profiles.get(name),
      source: from as StoredObject | undefined,
      preallocation: configs.get('config')?.spec?.preallocation ?? false,
    })
    if ('problem' in plan) return { source, problem: warning(plan.problem.reason, plan.problem.message) }
    try {
      return { source, claim: await client.create(persistentVolumeClaims, plan.claim) }
    } catch (error) {
      if (isApiError(error, 'AlreadyExists')) throw error
      if (!isApiError(error, 'Forbidden') && !isApiError(error, 'Invalid')) throw error
      const { message } = error
      return {
        source,
        problem: warning(message.includes('exceeded quota') ? 'ErrExceededQuota' : 'ErrClaimNotValid', message),
      }
    }
  }

  /** A claim that was there before becomes the volume's where that is allowed: its content stays. */
  async function adopt(volume: StoredObject, claim: StoredObject): Promise<Outcome> {
    const { name, namespace } = volume.metadata
    const mayAdopt = [volume, claim].some((one) => one.metadata.annotations?.[allowClaimAdoption] === 'true')
    if (controllerOf(claim) || !(mayAdopt || isPrePopulated(volume)))
      return {
        problem: warning('ErrResourceExists', `Resource ${name} already exists and is not managed by DataVolume`),
      }
    const { ownerReferences = [], resourceVersion } = claim.metadata
    return {
      claim: await client.patch(persistentVolumeClaims, name, namespace, 'merge', {
        metadata: {
          resourceVersion,
          annotations: { [populatedFor]: name },
          ownerReferences: [...ownerReferences, controllerReference(volume)],
        },
      }),
    }
  }

  const classOfClaim = (claim: StoredObject | undefined) => classes.get((claim && classOf(claim)) ?? '')

  /**
   * A local volume that is to be filled need not wait for its first consumer: there is one node, which is the same
   * whoever comes. Of other storage, who cannot wait says so.
   */
  async function bindNow(claim: StoredObject): Promise<StoredObject> {
    const asked = claim.metadata.annotations?.[bindImmediately] !== undefined
    const isLocal = classOfClaim(claim)?.provisioner === localProvisioner
    const node = nodeInformer.list()[0]?.metadata.name
    if (!(asked || isLocal) || !node || claim.status?.phase === 'Bound' || claim.metadata.annotations?.[selectedNode])
      return claim
    const { name, namespace } = claim.metadata
    const metadata = { annotations: { [selectedNode]: node } }
    return client.patch(persistentVolumeClaims, name, namespace, 'merge', { metadata })
  }

  async function ensureClaim(volume: StoredObject): Promise<Outcome> {
    const source = resolveSource(volume, (key) => sources.get(key))
    if (source && 'problem' in source) return { problem: warning(source.problem.reason, source.problem.message) }
    const claim = claims.get(objectKey(volume))
    if (!claim) return obtain(volume, source)
    if (claim.metadata.deletionTimestamp) return { claim, source }
    if (controllerOf(claim)?.uid !== volume.metadata.uid) return { ...(await adopt(volume, claim)), source }
    return { claim: await bindNow(claim), source }
  }

  function isDelayed(claim: StoredObject | undefined): boolean {
    const storageClass = classOfClaim(claim)
    return storageClass?.volumeBindingMode === 'WaitForFirstConsumer' && storageClass.provisioner !== localProvisioner
  }

  async function writeStatus(volume: StoredObject, outcome: Outcome): Promise<void> {
    const { claim, problem, source } = outcome
    const { status, events } = dataVolumeStatus({
      volume,
      claim,
      problem,
      source: source && `${source.namespace}/${source.name}`,
      fromSnapshot: source?.isSnapshot ?? false,
      isDelayed: isDelayed(claim),
      now: clock.now(),
    })
    for (const { type, reason, message } of events) record(volume, type, reason, message)
    if (!semanticallyEqual(status, volume.status))
      await client.updateStatus(dataVolumes, { ...volume, status } as ApiObject)
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    const volume = volumes.get(key)
    if (!volume) {
      const claim = claims.get(key)
      if (claim && isUploadTarget(claim) && !claim.metadata.deletionTimestamp) await bindNow(claim)
      return undefined
    }
    if (volume.metadata.deletionTimestamp) return undefined
    const outcome = await ensureClaim(volume)
    await writeStatus(volume, outcome)
    return outcome.problem ? { requeueAfter: retryMs } : undefined
  }
}
