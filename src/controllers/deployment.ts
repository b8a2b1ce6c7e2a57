// Deployment: rolls from one ReplicaSet to the next. Behaviour, events and revisions of pkg/controller/deployment (1.32).

import { isApiError } from '../api/errors.ts'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { controllerOf } from '../api/meta.ts'
import { selectorMatcher } from '../api/selector.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { findCondition } from './conditions.ts'
import {
  type ControllerContext,
  type ControllerDefinition,
  controllerOfKind,
  itself,
  reconcileOn,
  splitKey,
} from './controller.ts'
import {
  currentReplicas,
  expiredSets,
  isScaling,
  nextRevision,
  replicasOf,
  revisionAnnotation,
  type Scale,
  sameTemplate,
  scaleDownOld,
  setAnnotations,
  shareReplicas,
  sizeAnnotations,
  splitSets,
} from './deployment-plan.ts'
import {
  countedStatus,
  deadlineWait,
  hasDeadline,
  isComplete,
  pauseCondition,
  rolloutStatus,
  type Sets,
  setCondition,
} from './deployment-status.ts'
import { semanticallyEqual } from './equality.ts'
import { claimObjects, controllerReference } from './ownership.ts'
import { isNamespaceTerminating } from './pod-control.ts'
import { isFinished } from './pod-state.ts'
import { deployments, pods, replicaSets } from './resources.ts'
import { hashLabel, templateHash } from './template-hash.ts'

export const deployment: ControllerDefinition = {
  name: 'deployment',
  start(context) {
    const informer = context.informers.informer(deployments)
    const sets = context.informers.informer(replicaSets)
    return reconcileOn(
      context,
      'deployment',
      [
        { ref: deployments, keys: itself },
        { ref: replicaSets, keys: (set) => keysOfSet(set, informer.list(set.metadata.namespace)) },
        // A Recreate waits for the last old Pod to go.
        { ref: pods, keys: (pod) => controllerOfKind('ReplicaSet')(pod).flatMap((key) => ownerOfSet(sets.get(key))) },
      ],
      createSync(context),
    )
  },
}

const ownerOfSet = (set: StoredObject | undefined): string[] => (set ? controllerOfKind('Deployment')(set) : [])

function keysOfSet(set: StoredObject, candidates: StoredObject[]): string[] {
  if (controllerOf(set)) return ownerOfSet(set)
  return candidates
    .filter((candidate) => selectorMatcher(candidate.spec.selector).matches(set.metadata.labels))
    .flatMap(itself)
}

/** The new ReplicaSet for the Deployment's template. Pure. */
export function newReplicaSet(deployment: StoredObject, old: StoredObject[]): ApiObject {
  const { template, selector, minReadySeconds } = deployment.spec
  const hash = templateHash(template, deployment.status?.collisionCount ?? 0)
  const labels = { ...template.metadata?.labels, [hashLabel]: hash }
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      namespace: deployment.metadata.namespace!,
      labels,
      annotations: setAnnotations(deployment, undefined, nextRevision(old)),
      ownerReferences: [controllerReference(deployment)],
    },
    spec: {
      replicas: currentReplicas(deployment, old, 0),
      ...(minReadySeconds && { minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  }
}

function createSync(context: ControllerContext) {
  const { client, informers, clock } = context
  const record = context.recorder('deployment-controller')
  const known = informers.informer(deployments)
  const setInformer = informers.informer(replicaSets)
  const podInformer = informers.informer(pods)

  const sync = async (key: string): Promise<ReconcileResult | undefined> => {
    const deployment = known.get(key)
    if (!deployment) return undefined
    const { matches } = selectorMatcher(deployment.spec.selector)
    const candidates = setInformer.list(splitKey(key).namespace)
    const owned = await claimObjects(client, { ref: deployments, object: deployment }, replicaSets, candidates, (set) =>
      matches(set.metadata.labels),
    )
    const sets = splitSets(deployment, owned)
    if (deployment.metadata.deletionTimestamp) {
      await writeStatus(deployment, countedStatus(deployment, sets, clock.now()))
      return undefined
    }
    const condition = pauseCondition(deployment)
    if (condition) {
      const conditions = setCondition(deployment.status?.conditions, condition, clock.now())
      // After a write of the Deployment itself the rest is decided on what it says now.
      return (await writeStatus(deployment, { ...deployment.status, conditions })) ? sync(key) : undefined
    }
    if (deployment.spec.paused || isScaling(deployment, all(sets))) return resize(deployment, sets)
    return deployment.spec.strategy?.type === 'Recreate' ? recreate(deployment, sets) : roll(deployment, sets)
  }

  async function resize(deployment: StoredObject, sets: Sets): Promise<undefined> {
    const updated = await refresh(deployment, sets)
    await applyScales(deployment, shareReplicas(deployment, updated.current, updated.old))
    if (deployment.spec.paused) await cleanup(deployment, updated.old)
    const now = reread(updated)
    await writeStatus(deployment, countedStatus(latest(deployment), now, clock.now()))
  }

  async function roll(deployment: StoredObject, sets: Sets): Promise<ReconcileResult | undefined> {
    const ready = await ensureCurrent(deployment, sets)
    if (!ready) return undefined
    const { current, old } = ready
    const size = replicasOf(current)
    const wanted =
      size > replicasOf(deployment) ? replicasOf(deployment) : currentReplicas(deployment, [...old, current], size)
    if (size !== replicasOf(deployment) && wanted !== size)
      await applyScales(deployment, [{ set: current, replicas: wanted }])
    else await applyScales(deployment, scaleDownOld(deployment, current, old))
    return finish(deployment, ready)
  }

  async function recreate(deployment: StoredObject, sets: Sets): Promise<ReconcileResult | undefined> {
    const running = sets.old.filter((set) => replicasOf(set) > 0)
    await applyScales(
      deployment,
      running.map((set) => ({ set, replicas: 0 })),
    )
    if (running.length || sets.old.some(hasRunningPods)) return finish(deployment, await refresh(deployment, sets))
    const ready = await ensureCurrent(deployment, sets)
    if (!ready) return undefined
    await applyScales(deployment, [{ set: ready.current, replicas: replicasOf(deployment) }])
    return finish(deployment, ready)
  }

  const hasRunningPods = (set: StoredObject): boolean =>
    podInformer
      .list(set.metadata.namespace)
      .some((pod) => controllerOf(pod)?.uid === set.metadata.uid && !isFinished(pod))

  async function finish(before: StoredObject, sets: Sets): Promise<ReconcileResult | undefined> {
    const deployment = latest(before)
    const now = reread(sets)
    if (deployment.status && isComplete(deployment, deployment.status)) await cleanup(deployment, now.old)
    const status = rolloutStatus(deployment, now, clock.now())
    await writeStatus(deployment, status)
    const wait = deadlineWait(deployment, status, clock.now())
    return wait === undefined ? undefined : { requeueAfter: wait }
  }

  /**
   * The informer has our own writes: what was scaled or annotated a moment ago is read as it is now. A Deployment whose
   * spec has changed meanwhile is left as it was decided on: the write then meets a conflict and all begins anew.
   */
  const latest = (object: StoredObject): StoredObject => {
    const found = known.get(`${object.metadata.namespace}/${object.metadata.name}`)
    const { uid, generation } = object.metadata
    return found?.metadata.uid === uid && found.metadata.generation === generation ? found : object
  }
  const reread = (sets: Sets): Sets => {
    const fresh = (set: StoredObject): StoredObject =>
      setInformer.get(`${set.metadata.namespace}/${set.metadata.name}`) ?? set
    return { current: sets.current && fresh(sets.current), old: sets.old.map(fresh) }
  }

  /** Brings revision and annotations of the current ReplicaSet up to date, if there is one. */
  async function refresh(deployment: StoredObject, sets: Sets): Promise<Sets> {
    if (!sets.current) return sets
    let current = sets.current
    const annotations = setAnnotations(deployment, current.metadata.annotations ?? {}, nextRevision(sets.old))
    const minReadySeconds = deployment.spec.minReadySeconds ?? 0
    if (
      !semanticallyEqual(annotations, current.metadata.annotations) ||
      (current.spec.minReadySeconds ?? 0) !== minReadySeconds
    ) {
      const metadata = { ...current.metadata, annotations }
      current = await client.update(replicaSets, { ...current, metadata, spec: { ...current.spec, minReadySeconds } })
    }
    await setRevision(deployment, current.metadata.annotations?.[revisionAnnotation])
    if (hasDeadline(deployment) && !findCondition(latest(deployment).status?.conditions, 'Progressing'))
      await progress(deployment, 'FoundNewReplicaSet', `Found new replica set "${current.metadata.name}"`)
    return { current, old: sets.old }
  }

  /** The current ReplicaSet, created if need be; undefined when it cannot be and nothing more is to be done now. */
  async function ensureCurrent(
    deployment: StoredObject,
    sets: Sets,
  ): Promise<{ current: StoredObject; old: StoredObject[] } | undefined> {
    if (sets.current) return (await refresh(deployment, sets)) as { current: StoredObject; old: StoredObject[] }
    const wanted = newReplicaSet(deployment, sets.old)
    try {
      const current = await createSet(deployment, wanted)
      if (!current) return undefined
      await setRevision(deployment, current.metadata.annotations?.[revisionAnnotation])
      return { current, old: sets.old }
    } catch (error) {
      if (isNamespaceTerminating(error)) return undefined
      const message = `Failed to create new replica set "${wanted.metadata.name}": ${(error as Error).message}`
      if (hasDeadline(deployment)) await progress(deployment, 'FailedCreateReplicaSet', message, 'False')
      record(deployment, 'Warning', 'FailedCreateReplicaSet', message)
      throw error
    }
  }

  async function createSet(deployment: StoredObject, wanted: ApiObject): Promise<StoredObject | undefined> {
    try {
      const created = await client.create(replicaSets, wanted)
      if (wanted.spec.replicas > 0) recordScale(deployment, created, 0, wanted.spec.replicas)
      if (hasDeadline(deployment))
        await progress(deployment, 'NewReplicaSetCreated', `Created new replica set "${created.metadata.name}"`)
      return created
    } catch (error) {
      if (!isApiError(error, 'AlreadyExists')) throw error
    }
    const existing = await client.get(replicaSets, wanted.metadata.name!, wanted.metadata.namespace)
    if (controllerOf(existing)?.uid === deployment.metadata.uid && sameTemplate(existing, deployment)) return existing
    // Another object has the name: the next try gets another hash.
    const collisionCount = (deployment.status?.collisionCount ?? 0) + 1
    await writeStatus(deployment, { ...deployment.status, collisionCount })
    return undefined
  }

  async function setRevision(deployment: StoredObject, revision: string | undefined): Promise<void> {
    const { name, namespace, annotations } = latest(deployment).metadata
    if (!revision || annotations?.[revisionAnnotation] === revision) return
    const patch = { metadata: { annotations: { [revisionAnnotation]: revision } } }
    await client.patch(deployments, name, namespace, 'merge', patch)
  }

  async function progress(
    deployment: StoredObject,
    reason: string,
    message: string,
    status: 'True' | 'False' = 'True',
  ) {
    const conditions = setCondition(
      latest(deployment).status?.conditions,
      { type: 'Progressing', status, reason, message },
      clock.now(),
    )
    await writeStatus(deployment, { ...latest(deployment).status, conditions })
  }

  async function applyScales(deployment: StoredObject, scales: Scale[]): Promise<void> {
    const annotations = sizeAnnotations(deployment)
    for (const { set, replicas } of scales) {
      const { metadata } = set
      const isSized = Object.entries(annotations).every(([name, value]) => metadata.annotations?.[name] === value)
      const before = replicasOf(set)
      if (before === replicas && isSized) continue
      await client.update(replicaSets, {
        ...set,
        metadata: { ...metadata, annotations: { ...metadata.annotations, ...annotations } },
        spec: { ...set.spec, replicas },
      })
      if (before !== replicas) recordScale(deployment, set, before, replicas)
    }
  }

  function recordScale(deployment: StoredObject, set: StoredObject, from: number, to: number): void {
    const direction = to > from ? 'up' : 'down'
    const message = `Scaled ${direction} replica set ${set.metadata.name} from ${from} to ${to}`
    record(deployment, 'Normal', 'ScalingReplicaSet', message)
  }

  async function cleanup(deployment: StoredObject, old: StoredObject[]): Promise<void> {
    for (const { metadata } of expiredSets(deployment, old))
      await client
        .delete(replicaSets, metadata.name, metadata.namespace, { preconditions: { uid: metadata.uid } })
        .catch((error) => {
          if (!isApiError(error, 'NotFound')) throw error
        })
  }

  /** True when the status was not that already. */
  async function writeStatus(deployment: StoredObject, status: Record<string, any>): Promise<boolean> {
    const object = latest(deployment)
    if (semanticallyEqual(status, object.status)) return false
    await client.updateStatus(deployments, { ...object, status })
    return true
  }

  return sync
}

const all = (sets: Sets): StoredObject[] => (sets.current ? [...sets.old, sets.current] : sets.old)
