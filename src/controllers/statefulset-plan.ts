// What a StatefulSet wants: names, Pods and claims by ordinal, and its status. Pure; pkg/controller/statefulset (1.36).

import type { ApiObject, StoredObject } from '../api/meta.ts'
import { resolve } from './deployment-plan.ts'
import { podFromTemplate } from './pod-control.ts'
import { isAvailable, isReady } from './pod-state.ts'
import { revisionHashLabel, templateOf } from './revision-history.ts'

const podNameLabel = 'statefulset.kubernetes.io/pod-name'
const podIndexLabel = 'apps.kubernetes.io/pod-index'

export const firstOrdinal = (set: StoredObject): number => set.spec.ordinals?.start ?? 0
export const replicasOf = (set: StoredObject): number => set.spec.replicas ?? 1
export const allowsBurst = (set: StoredObject): boolean => set.spec.podManagementPolicy === 'Parallel'
export const podName = (set: StoredObject, ordinal: number): string => `${set.metadata.name}-${ordinal}`

/** The set's ordinal of a Pod; -1 for a Pod whose name is not one that the set gives. */
export function ordinalOf(set: StoredObject, pod: ApiObject): number {
  const { name } = set.metadata
  const own = pod.metadata.name ?? ''
  const digits = own.startsWith(`${name}-`) ? own.slice(name.length + 1) : ''
  return /^\d{1,9}$/.test(digits) ? Number(digits) : -1
}

export function isInRange(set: StoredObject, ordinal: number): boolean {
  const first = firstOrdinal(set)
  return ordinal >= first && ordinal < first + replicasOf(set)
}

export const podRevision = (pod: ApiObject): string => pod.metadata.labels?.[revisionHashLabel] ?? ''

export const claimName = (set: StoredObject, template: any, ordinal: number): string =>
  `${template.metadata.name}-${set.metadata.name}-${ordinal}`

/** The claims that the Pod of an ordinal uses. */
export function claimsFor(set: StoredObject, ordinal: number): ApiObject[] {
  return (set.spec.volumeClaimTemplates ?? []).map((template: any) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      ...template.metadata,
      name: claimName(set, template, ordinal),
      namespace: set.metadata.namespace,
      labels: { ...template.metadata.labels, ...set.spec.selector.matchLabels },
    },
    spec: template.spec,
  }))
}

export interface Revisions {
  current: StoredObject
  update: StoredObject
}

/** Which revision the Pod of an ordinal is made of. */
export function revisionFor(set: StoredObject, { current, update }: Revisions, ordinal: number): StoredObject {
  const { type, rollingUpdate } = set.spec.updateStrategy ?? {}
  const reach = rollingUpdate ? (rollingUpdate.partition ?? 0) : (set.status?.currentReplicas ?? 0)
  const isOld = (rollingUpdate !== undefined || type === 'RollingUpdate') && ordinal < firstOrdinal(set) + reach
  return isOld ? current : update
}

export function statefulPod(set: StoredObject, revision: StoredObject, ordinal: number): ApiObject {
  const pod = podFromTemplate(set, templateOf(revision))
  const name = podName(set, ordinal)
  const claims = (set.spec.volumeClaimTemplates ?? []).map((template: any) => ({
    name: template.metadata.name,
    persistentVolumeClaim: { claimName: claimName(set, template, ordinal) },
  }))
  const claimed = new Set(claims.map((volume: any) => volume.name))
  const others = (pod.spec.volumes ?? []).filter((volume: any) => !claimed.has(volume.name))
  const { generateName: _, ...metadata } = pod.metadata
  return {
    ...pod,
    metadata: {
      ...metadata,
      name,
      labels: { ...metadata.labels, ...identityLabels(name, ordinal), [revisionHashLabel]: revision.metadata.name },
    },
    spec: {
      ...pod.spec,
      hostname: name,
      ...(set.spec.serviceName && { subdomain: set.spec.serviceName }),
      volumes: [...claims, ...others],
    },
  }
}

export const identityLabels = (name: string, ordinal: number): Record<string, string> => ({
  [podNameLabel]: name,
  [podIndexLabel]: String(ordinal),
})

/** Only the name is checked: a set that is older than the index label keeps its Pods. */
export const hasIdentity = (pod: StoredObject): boolean => pod.metadata.labels?.[podNameLabel] === pod.metadata.name

export const isRunningAndReady = (pod: StoredObject): boolean => pod.status?.phase === 'Running' && isReady(pod)

export const isUnavailable = (set: StoredObject, pod: StoredObject | undefined, now: number): boolean =>
  !pod || !isAvailable(pod, set.spec.minReadySeconds ?? 0, now) || Boolean(pod.metadata.deletionTimestamp)

/** How many Pods may be down at once in an update. */
export function maxUnavailable(set: StoredObject): number {
  const share = set.spec.updateStrategy?.rollingUpdate?.maxUnavailable ?? 1
  return Math.max(resolve(share, replicasOf(set), false), 1)
}

/** The Pods to delete for an update, highest ordinal first. `replicas` are in order of their ordinals. */
export function outdatedPods(
  set: StoredObject,
  replicas: (StoredObject | undefined)[],
  update: StoredObject,
  now: number,
): StoredObject[] {
  const { type, rollingUpdate } = set.spec.updateStrategy ?? {}
  if (type === 'OnDelete') return []
  const unavailable = replicas.filter((pod) => isUnavailable(set, pod, now)).length
  const room = maxUnavailable(set) - unavailable
  return replicas
    .slice(rollingUpdate?.partition ?? 0)
    .filter((pod) => pod !== undefined)
    .filter((pod) => podRevision(pod) !== update.metadata.name && !pod.metadata.deletionTimestamp)
    .reverse()
    .slice(0, Math.max(room, 0))
}

export function statefulSetStatus(
  set: StoredObject,
  pods: StoredObject[],
  { current, update }: Revisions,
  collisions: number,
  now: number,
): Record<string, any> {
  const staying = pods.filter((pod) => !pod.metadata.deletionTimestamp)
  const ofRevision = (revision: StoredObject) =>
    staying.filter((pod) => podRevision(pod) === revision.metadata.name).length
  const running = pods.filter(isRunningAndReady)
  const status = {
    ...set.status,
    observedGeneration: set.metadata.generation,
    replicas: pods.length,
    readyReplicas: running.length,
    availableReplicas: running.filter((pod) => isAvailable(pod, set.spec.minReadySeconds ?? 0, now)).length,
    currentReplicas: ofRevision(current),
    updatedReplicas: ofRevision(update),
    currentRevision: current.metadata.name,
    updateRevision: update.metadata.name,
    collisionCount: collisions,
  }
  const wanted = replicasOf(set)
  const isDone = [status.updatedReplicas, status.readyReplicas, status.replicas].every((count) => count === wanted)
  if (set.spec.updateStrategy?.type === 'RollingUpdate' && isDone) {
    status.currentReplicas = status.updatedReplicas
    status.currentRevision = status.updateRevision
  }
  return status
}
