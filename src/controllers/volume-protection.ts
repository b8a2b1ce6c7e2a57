// Claims that something uses and volumes that are bound are not removed under it: the pvc- and pv-protection
// finalizers (pkg/controller/volume/{pvc,pv}protection, 1.32), for Pods and machines alike.

import { isApiError } from '../api/errors.ts'
import type { ResourceRef, StoredObject } from '../api/meta.ts'
import type { Client } from '../client/client.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { persistentVolumeClaims, persistentVolumes, pods, virtualMachineInstances } from './resources.ts'
import { claimsOfMachine, claimsOfPod } from './volume-matching.ts'

const claimFinalizer = 'kubernetes.io/pvc-protection'
const volumeFinalizer = 'kubernetes.io/pv-protection'

/** What to do with a protecting finalizer. Pure. */
export function protection(object: StoredObject, finalizer: string, isInUse: boolean): 'add' | 'remove' | undefined {
  const isProtected = object.metadata.finalizers?.includes(finalizer) ?? false
  if (!object.metadata.deletionTimestamp) return isProtected ? undefined : 'add'
  return isProtected && !isInUse ? 'remove' : undefined
}

/** Its node is done with it, or it was deleted by force; only finalizers keep it. */
const isShutDown = ({ metadata }: StoredObject): boolean =>
  Boolean(metadata.deletionTimestamp) && metadata.deletionGracePeriodSeconds === 0

/** A Pod that ran to its end still uses its claims, until it is deleted; its own ephemeral ones must not wait for it. */
export function usesClaim(user: StoredObject, claim: string): boolean {
  if (user.kind !== 'Pod') return claimsOfMachine(user).includes(claim)
  if (!user.spec.nodeName || !claimsOfPod(user).includes(claim)) return false
  return !isShutDown(user) || claimsOfPod(user, 'named').includes(claim)
}

async function apply(client: Client, ref: ResourceRef, object: StoredObject, finalizer: string, isInUse: boolean) {
  const change = protection(object, finalizer, isInUse)
  if (!change) return
  const { name, namespace, resourceVersion, finalizers = [] } = object.metadata
  const wanted = change === 'add' ? [...finalizers, finalizer] : finalizers.filter((other) => other !== finalizer)
  const metadata = { resourceVersion, finalizers: wanted.length ? wanted : null }
  await client.patch(ref, name, namespace, 'merge', { metadata }).catch((error) => {
    if (!isApiError(error, 'NotFound')) throw error
  })
}

export const claimProtection: ControllerDefinition = {
  name: 'pvc-protection',
  start(context) {
    const { client, informers } = context
    const claims = informers.informer(persistentVolumeClaims)
    const users = [informers.informer(pods), informers.informer(virtualMachineInstances)]
    const claimsOf = (names: (user: StoredObject) => string[]) => (user: StoredObject) =>
      names(user).map((name) => `${user.metadata.namespace}/${name}`)
    async function sync(key: string): Promise<ReconcileResult | undefined> {
      const claim = claims.get(key)
      if (!claim) return undefined
      const { name, namespace } = claim.metadata
      const isInUse = users.some((informer) => informer.list(namespace).some((user) => usesClaim(user, name)))
      await apply(client, persistentVolumeClaims, claim, claimFinalizer, isInUse)
      return undefined
    }
    return reconcileOn(
      context,
      'pvc-protection',
      [
        { ref: persistentVolumeClaims, keys: itself },
        { ref: pods, keys: claimsOf(claimsOfPod) },
        { ref: virtualMachineInstances, keys: claimsOf(claimsOfMachine) },
      ],
      sync,
      1,
    )
  },
}

export const volumeProtection: ControllerDefinition = {
  name: 'pv-protection',
  start(context) {
    const { client, informers } = context
    const volumes = informers.informer(persistentVolumes)
    async function sync(key: string): Promise<ReconcileResult | undefined> {
      const volume = volumes.get(key)
      if (volume) await apply(client, persistentVolumes, volume, volumeFinalizer, volume.status?.phase === 'Bound')
      return undefined
    }
    return reconcileOn(context, 'pv-protection', [{ ref: persistentVolumes, keys: itself }], sync, 1)
  },
}
