// A StatefulSet's Pods and claims, made, corrected and deleted, with upstream's events (stateful_pod_control.go, 1.36).

import { isApiError } from '../api/errors.ts'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import type { ControllerContext } from './controller.ts'
import { setOwners } from './ownership.ts'
import { isNamespaceTerminating } from './pod-control.ts'
import { persistentVolumeClaims, pods } from './resources.ts'
import { claimOwners, hasStrangeController, waitsForOldPod } from './statefulset-claims.ts'
import { claimsFor, hasIdentity, identityLabels, ordinalOf } from './statefulset-plan.ts'

export interface StatefulPods {
  create(set: StoredObject, pod: ApiObject, ordinal: number): Promise<void>
  delete(set: StoredObject, pod: StoredObject): Promise<void>
  createClaims(set: StoredObject, pod: ApiObject, ordinal: number): Promise<void>
  /** Labels and claims of a Pod that runs, as they should be. */
  settle(set: StoredObject, pod: StoredObject, ordinal: number): Promise<void>
  settleClaims(set: StoredObject, pod: StoredObject): Promise<void>
}

const title = (verb: string): string => verb[0]!.toUpperCase() + verb.slice(1)

export function createStatefulPods({ client, informers, recorder }: ControllerContext): StatefulPods {
  const record = recorder('statefulset-controller')
  const claimInformer = informers.informer(persistentVolumeClaims)

  async function tell<T>(verb: string, set: StoredObject, pod: ApiObject, action: () => Promise<T>): Promise<T> {
    const subject = `${verb} Pod ${pod.metadata.name} in StatefulSet ${set.metadata.name}`
    try {
      const result = await action()
      record(set, 'Normal', `Successful${title(verb)}`, `${subject} successful`)
      return result
    } catch (error) {
      if (!isApiError(error, 'AlreadyExists') && !isNamespaceTerminating(error) && !isApiError(error, 'NotFound'))
        record(set, 'Warning', `Failed${title(verb)}`, `${subject} failed error: ${(error as Error).message}`)
      throw error
    }
  }

  const claimOf = ({ metadata }: ApiObject): StoredObject | undefined =>
    claimInformer.get(`${metadata.namespace}/${metadata.name}`)

  async function createClaim(set: StoredObject, pod: ApiObject, claim: ApiObject): Promise<void> {
    const existing = claimOf(claim)
    const { name } = claim.metadata
    if (existing?.metadata.deletionTimestamp) throw new Error(`pvc ${name} is being deleted`)
    if (existing) return
    const [podText, setText] = [`Pod ${pod.metadata.name}`, `in StatefulSet ${set.metadata.name}`]
    try {
      await client.create(persistentVolumeClaims, claim)
      record(set, 'Normal', 'SuccessfulCreate', `create Claim ${name} ${podText} ${setText} success`)
    } catch (error) {
      if (isApiError(error, 'AlreadyExists')) return
      if (!isNamespaceTerminating(error))
        record(
          set,
          'Warning',
          'FailedCreate',
          `create Claim ${name} for ${podText} ${setText} failed error: ${(error as Error).message}`,
        )
      throw error
    }
  }

  async function createClaims(set: StoredObject, pod: ApiObject, ordinal: number): Promise<void> {
    for (const claim of claimsFor(set, ordinal)) await createClaim(set, pod, claim)
  }

  async function settleClaims(set: StoredObject, pod: StoredObject): Promise<void> {
    for (const template of claimsFor(set, ordinalOf(set, pod))) {
      const claim = claimOf(template)
      if (!claim) continue
      if (hasStrangeController(claim, set, pod))
        record(
          set,
          'Warning',
          'ConflictingController',
          `PersistentVolumeClaim ${claim.metadata.name} has a conflicting OwnerReference that acts as a manging controller, the retention policy is ignored for this claim`,
        )
      const owners = claimOwners(claim, set, pod)
      if (owners) await setOwners(client, persistentVolumeClaims, claim, owners)
    }
  }

  return {
    createClaims,
    settleClaims,
    async create(set, pod, ordinal) {
      const claims = claimsFor(set, ordinal).map(claimOf)
      if (claims.some((claim) => claim && waitsForOldPod(claim, pod))) return
      await createClaims(set, pod, ordinal)
      const created = await tell('create', set, pod, () => client.create(pods, pod))
      await settleClaims(set, created)
    },
    async delete(set, pod) {
      const { name, namespace, uid } = pod.metadata
      await tell('delete', set, pod, () => client.delete(pods, name, namespace, { preconditions: { uid } }))
    },
    async settle(set, pod, ordinal) {
      const { name, namespace } = pod.metadata
      if (!hasIdentity(pod)) {
        const patch = { metadata: { labels: identityLabels(name, ordinal) } }
        await tell('update', set, pod, () => client.patch(pods, name, namespace, 'merge', patch))
      }
      await settleClaims(set, pod)
    },
  }
}
