// PodDisruptionBudget: keeps the count of Pods that may be evicted. Behaviour and events of pkg/controller/disruption (1.36).

import { isApiError } from '../api/errors.ts'
import { firstAt } from '../api/jsonpath.ts'
import { resourceOf } from '../api/kind.ts'
import type { OwnerReference, StoredObject } from '../api/meta.ts'
import { controllerOf, parseGroupVersion } from '../api/meta.ts'
import { selectorMatcher, selectorText } from '../api/selector.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { type ControllerContext, type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { budgetStatus, disrupted, expected, failedStatus, healthyCount, needsScale } from './disruption-plan.ts'
import { semanticallyEqual } from './equality.ts'
import { podDisruptionBudgets, pods } from './resources.ts'

const covers = (budget: StoredObject, pod: StoredObject): boolean =>
  selectorMatcher(budget.spec?.selector).matches(pod.metadata.labels)

export const disruption: ControllerDefinition = {
  name: 'disruption',
  start(context) {
    const informer = context.informers.informer(podDisruptionBudgets)
    const keysOfPod = (pod: StoredObject): string[] =>
      informer
        .list(pod.metadata.namespace)
        .filter((budget) => covers(budget, pod))
        .flatMap(itself)
    const watched = [
      { ref: podDisruptionBudgets, keys: itself },
      { ref: pods, keys: keysOfPod },
    ]
    return reconcileOn(context, 'disruption', watched, createSync(context), 2)
  },
}

function createSync(context: ControllerContext) {
  const { client, informers, clock, kinds } = context
  const record = context.recorder('controllermanager')
  const known = informers.informer(podDisruptionBudgets)
  const podInformer = informers.informer(pods)

  /** The owner of a kind that has a size; a ReplicaSet's Deployment counts in its place. */
  async function sizedOwner(reference: OwnerReference, namespace: string) {
    const { group } = parseGroupVersion(reference.apiVersion)
    const kind = kinds().find((each) => each.group === group && each.kind === reference.kind)
    const scale = kind?.subresources?.scale
    if (!kind || !scale)
      throw new Error(`${reference.kind} ${namespace}/${reference.name} does not implement the scale subresource`)
    const owner = await client.get(resourceOf(kind), reference.name, namespace)
    if (owner.metadata.uid !== reference.uid) throw new Error(`${reference.kind} ${reference.name} is another one now`)
    return { owner, replicas: Number(firstAt(owner, scale.specReplicasPath) ?? 0) }
  }

  async function ownerOf(pod: StoredObject, reference: OwnerReference) {
    const found = await sizedOwner(reference, pod.metadata.namespace!)
    const above = reference.kind === 'ReplicaSet' ? controllerOf(found.owner) : undefined
    return above?.kind === 'Deployment' ? sizedOwner(above, pod.metadata.namespace!) : found
  }

  /** How many Pods the owners want together, and the Pods that have no owner. */
  async function wantedPods(covered: StoredObject[]): Promise<{ scale: number; unmanaged: string[] }> {
    const sizes = new Map<string, number>()
    const unmanaged: string[] = []
    const seen = new Set<string>()
    for (const pod of covered) {
      const reference = controllerOf(pod)
      if (!reference) {
        unmanaged.push(pod.metadata.name)
        continue
      }
      if (seen.has(reference.uid)) continue
      seen.add(reference.uid)
      const { owner, replicas } = await ownerOf(pod, reference)
      sizes.set(owner.metadata.uid, replicas)
    }
    return { scale: [...sizes.values()].reduce((sum, size) => sum + size, 0), unmanaged }
  }

  async function sizeOf(budget: StoredObject, covered: StoredObject[]) {
    if (!needsScale(budget)) return expected(budget, covered.length, covered.length)
    const { scale, unmanaged } = await wantedPods(covered)
    if (unmanaged.length)
      record(
        budget,
        'Warning',
        'UnmanagedPods',
        `Pods selected by this PodDisruptionBudget (selector: ${selectorText(selectorMatcher(budget.spec.selector))}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.`,
      )
    return expected(budget, covered.length, scale)
  }

  async function write(budget: StoredObject, status: Record<string, any>): Promise<void> {
    if (semanticallyEqual(status, budget.status)) return
    await client.updateStatus(podDisruptionBudgets, { ...budget, status })
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    const budget = known.get(key)
    if (!budget) return undefined
    const covered = podInformer.list(budget.metadata.namespace).filter((pod) => covers(budget, pod))
    if (!covered.length) record(budget, 'Normal', 'NoPods', 'No matching pods found')
    const now = clock.now()
    let size: { expectedPods: number; desiredHealthy: number }
    try {
      size = await sizeOf(budget, covered)
    } catch (error) {
      const { message } = error as Error
      const text = `Failed to calculate the number of expected pods: ${message}`
      record(budget, 'Warning', 'CalculateExpectedPodCountFailed', text)
      await write(budget, failedStatus(budget, message, now))
      // An owner that has just gone takes its Pods with it: their end comes back here.
      if (isApiError(error, 'NotFound')) return undefined
      throw error
    }
    const going = disrupted(budget, covered, now)
    for (const pod of going.overdue)
      record(pod, 'Warning', 'NotDeleted', `Pod was expected by PDB ${key} to be deleted but it wasn't`)
    const currentHealthy = healthyCount(covered, going.pods)
    await write(budget, budgetStatus(budget, { ...size, currentHealthy, disruptedPods: going.pods }, now))
    return going.recheckAt === undefined ? undefined : { requeueAfter: Math.max(going.recheckAt - now, 0) + 1000 }
  }
}
