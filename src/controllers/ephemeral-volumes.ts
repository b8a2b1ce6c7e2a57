// Ephemeral volumes: each gets a claim of its own, made from the Pod's template and gone with the Pod
// (pkg/controller/volume/ephemeral, 1.36).

import { isApiError } from '../api/errors.ts'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { isFinished } from './pod-state.ts'
import { persistentVolumeClaims, pods } from './resources.ts'

interface EphemeralVolume {
  name: string
  ephemeral: { volumeClaimTemplate: { metadata?: ApiObject['metadata']; spec: unknown } }
}

const volumesOf = (pod: StoredObject): EphemeralVolume[] =>
  (pod.spec?.volumes ?? []).filter((volume: Partial<EphemeralVolume>) => volume.ephemeral?.volumeClaimTemplate)

/** The claim of one ephemeral volume. Pure. */
export function claimFor(pod: StoredObject, { name, ephemeral }: EphemeralVolume): ApiObject {
  const { metadata, spec } = ephemeral.volumeClaimTemplate
  const owner = { apiVersion: 'v1', kind: 'Pod', name: pod.metadata.name, uid: pod.metadata.uid }
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: `${pod.metadata.name}-${name}`,
      namespace: pod.metadata.namespace!,
      ...(metadata?.labels && { labels: metadata.labels }),
      ...(metadata?.annotations && { annotations: metadata.annotations }),
      ownerReferences: [{ ...owner, controller: true, blockOwnerDeletion: true }],
    },
    spec: structuredClone(spec),
  }
}

export const ephemeralVolumes: ControllerDefinition = {
  name: 'ephemeral-volume-controller',
  start(context) {
    const { client, informers } = context
    const record = context.recorder('ephemeral_volume')
    const podInformer = informers.informer(pods)
    const claims = informers.informer(persistentVolumeClaims)

    async function sync(key: string): Promise<void> {
      const pod = podInformer.get(key)
      if (!pod || pod.metadata.deletionTimestamp || isFinished(pod)) return
      for (const volume of volumesOf(pod)) {
        const claim = claimFor(pod, volume)
        const known = claims.get(`${claim.metadata.namespace}/${claim.metadata.name}`)
        if (!known) {
          await client.create(persistentVolumeClaims, claim).catch((error) => {
            if (isApiError(error, 'AlreadyExists')) return
            record(
              pod,
              'Warning',
              'FailedBinding',
              `ephemeral volume ${volume.name}: create PVC ${claim.metadata.name}: ${error.message}`,
            )
            throw error
          })
        } else if (!known.metadata.ownerReferences?.some(({ uid }) => uid === pod.metadata.uid)) {
          const text = `PVC ${known.metadata.namespace}/${known.metadata.name} was not created for pod ${pod.metadata.namespace}/${pod.metadata.name} (pod is not owner)`
          record(pod, 'Warning', 'FailedBinding', `ephemeral volume ${volume.name}: ${text}`)
        }
      }
    }

    return reconcileOn(
      context,
      'ephemeral-volumes',
      [
        { ref: pods, keys: (pod) => (volumesOf(pod).length ? itself(pod) : []) },
        {
          ref: persistentVolumeClaims,
          keys: ({ metadata }) =>
            (metadata.ownerReferences ?? [])
              .filter(({ kind }) => kind === 'Pod')
              .map(({ name }) => `${metadata.namespace}/${name}`),
        },
      ],
      sync,
    )
  },
}
