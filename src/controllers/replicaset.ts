// ReplicaSet and ReplicationController: keep the wanted number of Pods of one template. Behaviour of
// pkg/controller/replicaset (1.36), which serves both as well.

import type { ResourceRef, StoredObject } from '../api/meta.ts'
import { controllerOf } from '../api/meta.ts'
import { type LabelMatcher, labelsMatcher, nothing, selectorMatcher } from '../api/selector.ts'
import { formatTime } from '../api/time.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { type Condition, withReplicaFailure } from './conditions.ts'
import {
  type ControllerContext,
  type ControllerDefinition,
  controllerOfKind,
  itself,
  reconcileOn,
  splitKey,
} from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { claimObjects } from './ownership.ts'
import {
  burstReplicas,
  createPodControl,
  inGrowingBatches,
  isNamespaceTerminating,
  podFromTemplate,
} from './pod-control.ts'
import { deletionOrder, isActive, isAvailable, isFinished, isReady, readySince } from './pod-state.ts'
import { pods, replicaSets, replicationControllers } from './resources.ts'

/** How many Pods to create (positive), or which to delete. Pure. */
export function planReplicas(
  replicaSet: StoredObject,
  active: StoredObject[],
): { create: number; delete: StoredObject[] } {
  const surplus = active.length - (replicaSet.spec.replicas ?? 1)
  if (surplus <= 0) return { create: Math.min(Math.abs(surplus), burstReplicas), delete: [] }
  return { create: 0, delete: active.toSorted(deletionOrder).slice(0, Math.min(surplus, burstReplicas)) }
}

/** The status that the Pods make, with a condition for a failure to create or delete. Pure. */
export function replicaSetStatus(
  replicaSet: StoredObject,
  active: StoredObject[],
  failure: { reason: string; message: string } | undefined,
  now: number,
): Record<string, unknown> {
  const { template, minReadySeconds = 0 } = replicaSet.spec
  const wantedLabels = Object.entries(template.metadata?.labels ?? {})
  const conditions: Condition[] | undefined = replicaSet.status?.conditions
  return {
    ...replicaSet.status,
    replicas: active.length,
    fullyLabeledReplicas: active.filter((pod) =>
      wantedLabels.every(([name, value]) => pod.metadata.labels?.[name] === value),
    ).length,
    readyReplicas: active.filter(isReady).length,
    availableReplicas: active.filter((pod) => isAvailable(pod, minReadySeconds, now)).length,
    observedGeneration: replicaSet.metadata.generation,
    conditions: withReplicaFailure(conditions, failure, formatTime(now)),
  }
}

/** When the next ready Pod becomes available. Pure. */
export function nextAvailability(active: StoredObject[], minReadySeconds: number, now: number): number | undefined {
  const waits = active
    .filter((pod) => isReady(pod) && !isAvailable(pod, minReadySeconds, now))
    .map((pod) => readySince(pod) + minReadySeconds * 1000 - now)
  return waits.length ? Math.max(Math.min(...waits), 1) : undefined
}

/** What the two kinds differ in. */
interface Flavour {
  name: string
  kind: string
  ref: ResourceRef
  matcher: (set: StoredObject) => LabelMatcher
  /** ReplicationControllers have no field for it. */
  countsTerminating: boolean
}

export const replicaSet = replicaController({
  name: 'replicaset',
  kind: 'ReplicaSet',
  ref: replicaSets,
  matcher: (set) => selectorMatcher(set.spec.selector),
  countsTerminating: true,
})

export const replicationController = replicaController({
  name: 'replication',
  kind: 'ReplicationController',
  ref: replicationControllers,
  matcher: (set) => (set.spec.selector ? labelsMatcher(set.spec.selector) : nothing),
  countsTerminating: false,
})

function replicaController(flavour: Flavour): ControllerDefinition {
  return {
    name: flavour.name,
    start(context) {
      const informer = context.informers.informer(flavour.ref)
      const keysOfPod = (pod: StoredObject): string[] => {
        if (controllerOf(pod)) return controllerOfKind(flavour.kind)(pod)
        // An orphan concerns everything whose selector it matches.
        const { namespace, labels } = pod.metadata
        return informer
          .list(namespace)
          .filter((set) => flavour.matcher(set).matches(labels))
          .flatMap(itself)
      }
      const watched = [
        { ref: flavour.ref, keys: itself },
        { ref: pods, keys: keysOfPod },
      ]
      return reconcileOn(context, flavour.name, watched, createSync(context, flavour))
    },
  }
}

function createSync(context: ControllerContext, { name, ref, matcher, countsTerminating }: Flavour) {
  const { client, informers, clock } = context
  const sets = informers.informer(ref)
  const podInformer = informers.informer(pods)
  const podControl = createPodControl(client, context.recorder(`${name}-controller`))

  async function act(
    set: StoredObject,
    active: StoredObject[],
  ): Promise<{ reason: string; error: unknown } | undefined> {
    const plan = planReplicas(set, active)
    try {
      await inGrowingBatches(plan.create, () => podControl.create(set, podFromTemplate(set, set.spec.template)))
      await Promise.all(plan.delete.map((pod) => podControl.delete(set, pod)))
      return undefined
    } catch (error) {
      if (isNamespaceTerminating(error)) return undefined
      return { reason: plan.create ? 'FailedCreate' : 'FailedDelete', error }
    }
  }

  const terminatingOf = (set: StoredObject): number =>
    podInformer
      .list(set.metadata.namespace)
      .filter((pod) => pod.metadata.deletionTimestamp && !isFinished(pod))
      .filter((pod) => controllerOf(pod)?.uid === set.metadata.uid).length

  return async (key: string): Promise<ReconcileResult | undefined> => {
    const set = sets.get(key)
    if (!set) return undefined
    const { namespace } = splitKey(key)
    const { matches } = matcher(set)
    const candidates = podInformer.list(namespace).filter(isActive)
    const active = await claimObjects(client, { ref, object: set }, pods, candidates, (pod) =>
      matches(pod.metadata.labels),
    )
    const failed = set.metadata.deletionTimestamp ? undefined : await act(set, active)
    const failure = failed && { reason: failed.reason, message: (failed.error as Error).message }
    const now = clock.now()
    const counted = replicaSetStatus(set, active, failure, now)
    const status = countsTerminating ? { ...counted, terminatingReplicas: terminatingOf(set) } : counted
    if (!semanticallyEqual(status, set.status)) await client.updateStatus(ref, { ...set, status })
    if (failed) throw failed.error
    const wait = nextAvailability(active, set.spec.minReadySeconds ?? 0, now)
    return wait === undefined ? undefined : { requeueAfter: wait }
  }
}
