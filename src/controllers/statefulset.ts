// StatefulSet: Pods with stable names and volumes, made and ended in order. Behaviour and events of
// pkg/controller/statefulset (1.36).

import { isApiError } from '../api/errors.ts'
import type { StoredObject } from '../api/meta.ts'
import { controllerOf } from '../api/meta.ts'
import { selectorMatcher } from '../api/selector.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import {
  type ControllerContext,
  type ControllerDefinition,
  controllerOfKind,
  itself,
  reconcileOn,
} from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { claimObjects } from './ownership.ts'
import { inGrowingBatches, isNamespaceTerminating } from './pod-control.ts'
import { isAvailable, isFinished } from './pod-state.ts'
import { nextAvailability } from './replicaset.ts'
import { controllerRevisions, persistentVolumeClaims, pods, statefulSets } from './resources.ts'
import { createHistory } from './revision-history.ts'
import {
  allowsBurst,
  firstOrdinal,
  isInRange,
  isRunningAndReady,
  isUnavailable,
  ordinalOf,
  outdatedPods,
  podRevision,
  type Revisions,
  replicasOf,
  revisionFor,
  statefulPod,
  statefulSetStatus,
} from './statefulset-plan.ts'
import { createStatefulPods } from './statefulset-pods.ts'

export const statefulSet: ControllerDefinition = {
  name: 'statefulset',
  start(context) {
    const informer = context.informers.informer(statefulSets)
    const keysOfPod = (pod: StoredObject): string[] => {
      if (controllerOf(pod)) return controllerOfKind('StatefulSet')(pod)
      const isCandidate = (set: StoredObject) =>
        ordinalOf(set, pod) >= 0 && selectorMatcher(set.spec.selector).matches(pod.metadata.labels)
      return informer.list(pod.metadata.namespace).filter(isCandidate).flatMap(itself)
    }
    const nothing = () => []
    // A claim that goes makes room for the new one that a Pod waits for.
    const keysOfClaim = ({ metadata }: StoredObject): string[] =>
      informer
        .list(metadata.namespace)
        .filter((set) =>
          set.spec.volumeClaimTemplates?.some((template: any) =>
            metadata.name.startsWith(`${template.metadata?.name}-${set.metadata.name}-`),
          ),
        )
        .flatMap(itself)
    const watched = [
      { ref: statefulSets, keys: itself },
      { ref: pods, keys: keysOfPod },
      { ref: controllerRevisions, keys: nothing },
      { ref: persistentVolumeClaims, keys: keysOfClaim },
    ]
    return reconcileOn(context, 'statefulset', watched, createSync(context))
  },
}

/** The Pods of a set, those that stay in order of their ordinals, those that go highest first. */
interface Members {
  set: StoredObject
  revisions: Revisions
  replicas: (StoredObject | undefined)[]
  condemned: StoredObject[]
}

function createSync(context: ControllerContext) {
  const { client, informers, clock } = context
  const known = informers.informer(statefulSets)
  const podInformer = informers.informer(pods)
  const history = createHistory(context, { ref: statefulSets, hashLabel: 'controller.kubernetes.io/hash' })
  const control = createStatefulPods(context)

  const isAvailableIn = (set: StoredObject, pod: StoredObject) =>
    isAvailable(pod, set.spec.minReadySeconds ?? 0, clock.now())

  /** Brings one replica forward; false when the ones after it have to wait. */
  async function advance({ set, revisions, replicas }: Members, index: number): Promise<boolean> {
    const pod = replicas[index]
    const ordinal = firstOrdinal(set) + index
    const inOrder = !allowsBurst(set)
    if (!pod) {
      await control.create(set, statefulPod(set, revisionFor(set, revisions, ordinal), ordinal), ordinal)
      return !inOrder
    }
    if (isFinished(pod)) {
      if (!pod.metadata.deletionTimestamp) await control.delete(set, pod)
      return false
    }
    if (pod.status?.phase === 'Pending') await control.createClaims(set, pod, ordinal)
    if (inOrder && (pod.metadata.deletionTimestamp || !isRunningAndReady(pod) || !isAvailableIn(set, pod))) return false
    await control.settle(set, pod, ordinal)
    return true
  }

  /** Ends one Pod that is too many; false when the others have to wait. */
  async function retire({ set }: Members, pod: StoredObject, firstUnhealthy: StoredObject | undefined) {
    const inOrder = !allowsBurst(set)
    if (pod.metadata.deletionTimestamp) return !inOrder
    const isHealthy = isRunningAndReady(pod) && isAvailableIn(set, pod)
    if (inOrder && !isHealthy && pod !== firstUnhealthy) return false
    await control.delete(set, pod)
    return !inOrder
  }

  /** Each in turn until one says to wait, or all at once where order does not matter. True when all went through. */
  async function forAll(inOrder: boolean, count: number, action: (index: number) => Promise<boolean>) {
    if (!inOrder) {
      await inGrowingBatches(count, action)
      return true
    }
    for (let index = 0; index < count; index++) if (!(await action(index))) return false
    return true
  }

  async function act(members: Members): Promise<void> {
    const { set, replicas, condemned, revisions } = members
    const inOrder = !allowsBurst(set)
    const bad = (pod: StoredObject | undefined) => isUnavailable(set, pod, clock.now())
    const firstUnhealthy = [...replicas, ...condemned.toReversed()].find((pod) => pod && bad(pod))
    const isMissing = replicas.some((pod) => !pod)
    if (!(await forAll(inOrder, replicas.length, (index) => advance(members, index)))) return
    for (const pod of condemned) await control.settleClaims(set, pod)
    const first = isMissing ? undefined : firstUnhealthy
    if (!(await forAll(inOrder, condemned.length, (index) => retire(members, condemned[index]!, first)))) return
    for (const pod of outdatedPods(set, replicas, revisions.update, clock.now())) await control.delete(set, pod)
  }

  function membersOf(set: StoredObject, owned: StoredObject[], revisions: Revisions): Members {
    const replicas: (StoredObject | undefined)[] = Array.from({ length: replicasOf(set) })
    const condemned: StoredObject[] = []
    for (const pod of owned) {
      const ordinal = ordinalOf(set, pod)
      if (isInRange(set, ordinal)) replicas[ordinal - firstOrdinal(set)] = pod
      else condemned.push(pod)
    }
    condemned.sort((a, b) => ordinalOf(set, b) - ordinalOf(set, a))
    return { set, revisions, replicas, condemned }
  }

  const ownedNow = (set: StoredObject): StoredObject[] =>
    podInformer
      .list(set.metadata.namespace)
      .filter((pod) => controllerOf(pod)?.uid === set.metadata.uid && ordinalOf(set, pod) >= 0)

  async function writeStatus(set: StoredObject, status: Record<string, any>): Promise<void> {
    if (!semanticallyEqual(status, set.status)) await client.updateStatus(statefulSets, { ...set, status })
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    const set = known.get(key)
    if (!set) return undefined
    const all = await history.list(set)
    const { matches } = selectorMatcher(set.spec.selector)
    const candidates = podInformer.list(set.metadata.namespace)
    const owned = await claimObjects(
      client,
      { ref: statefulSets, object: set },
      pods,
      candidates,
      (pod) => matches(pod.metadata.labels) && ordinalOf(set, pod) >= 0,
    )
    const { revision: update, collisions } = await history.current(set, all)
    const current = all.find((each) => each.metadata.name === set.status?.currentRevision) ?? update
    const revisions = { current, update }
    let failure: unknown
    if (!set.metadata.deletionTimestamp)
      await act(membersOf(set, owned, revisions)).catch((error) => {
        if (!isNamespaceTerminating(error)) failure = error
      })
    const now = clock.now()
    const present = ownedNow(set)
    await writeStatus(set, statefulSetStatus(set, present, revisions, collisions, now))
    const used = new Set([current.metadata.name, update.metadata.name, ...present.map(podRevision)])
    await history.truncate(set, all, ({ metadata }) => used.has(metadata.name))
    if (failure && !isApiError(failure, 'NotFound')) throw failure
    const wait = nextAvailability(present, set.spec.minReadySeconds ?? 0, now)
    return wait === undefined ? undefined : { requeueAfter: wait }
  }
}
