// What a Deployment wants of its ReplicaSets: which one is current, how many Pods each may have now. Pure arithmetic of
// pkg/controller/deployment/util (1.32).

import type { StoredObject } from '../api/meta.ts'
import { semanticallyEqual } from './equality.ts'
import { moment } from './moment.ts'
import { hashLabel } from './template-hash.ts'

export const revisionAnnotation = 'deployment.kubernetes.io/revision'
export const historyAnnotation = 'deployment.kubernetes.io/revision-history'
export const desiredAnnotation = 'deployment.kubernetes.io/desired-replicas'
export const maxAnnotation = 'deployment.kubernetes.io/max-replicas'

/** Annotations of the Deployment that its ReplicaSets do not take over. */
const ownAnnotations = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionAnnotation,
  historyAnnotation,
  desiredAnnotation,
  maxAnnotation,
  'deprecated.deployment.rollback.to',
])

/** A new size for a ReplicaSet. */
export interface Scale {
  set: StoredObject
  replicas: number
}

export const replicasOf = (object: StoredObject): number => object.spec.replicas ?? 1
export const totalReplicas = (sets: StoredObject[]): number => sets.reduce((sum, set) => sum + replicasOf(set), 0)
const available = (set: StoredObject): number => set.status?.availableReplicas ?? 0
const isRolling = (deployment: StoredObject): boolean => deployment.spec.strategy?.type !== 'Recreate'

export const oldestFirst = (a: StoredObject, b: StoredObject): number =>
  moment(a.metadata.creationTimestamp) - moment(b.metadata.creationTimestamp) ||
  (a.metadata.name < b.metadata.name ? -1 : 1)

/** A number, or a percentage of `total`. */
export function resolve(value: number | string | undefined, total: number, roundUp: boolean): number {
  if (typeof value !== 'string') return value ?? 0
  const share = (Number.parseFloat(value) * total) / 100
  return roundUp ? Math.ceil(share) : Math.floor(share)
}

export function fenceposts(deployment: StoredObject): { surge: number; unavailable: number } {
  const desired = replicasOf(deployment)
  if (!isRolling(deployment)) return { surge: 0, unavailable: 0 }
  const rolling = deployment.spec.strategy?.rollingUpdate ?? {}
  const surge = resolve(rolling.maxSurge ?? '25%', desired, true)
  const unavailable = resolve(rolling.maxUnavailable ?? '25%', desired, false)
  // Both zero would never move.
  return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable }
}

export const maxUnavailable = (deployment: StoredObject): number =>
  replicasOf(deployment) === 0 ? 0 : Math.min(fenceposts(deployment).unavailable, replicasOf(deployment))

function withoutHash(template: any): unknown {
  const { [hashLabel]: _, ...labels } = template.metadata?.labels ?? {}
  return { ...template, metadata: { ...template.metadata, labels } }
}

export const sameTemplate = (a: StoredObject, b: StoredObject): boolean =>
  semanticallyEqual(withoutHash(a.spec.template), withoutHash(b.spec.template))

/** The ReplicaSet of the current template, if there is one, and all others, oldest first. */
export function splitSets(
  deployment: StoredObject,
  sets: StoredObject[],
): { current: StoredObject | undefined; old: StoredObject[] } {
  const sorted = sets.toSorted(oldestFirst)
  const current = sorted.find((set) => sameTemplate(set, deployment))
  return { current, old: sorted.filter((set) => set !== current) }
}

/** 64 bits wide, as upstream's: more than a JavaScript number holds exactly. */
const revisionNumber = (text: string | undefined): bigint => (/^\d{1,19}$/.test(text ?? '') ? BigInt(text!) : 0n)

export const revisionOf = (object: StoredObject): bigint =>
  revisionNumber(object.metadata.annotations?.[revisionAnnotation])

export const nextRevision = (old: StoredObject[]): bigint =>
  old.map(revisionOf).reduce((most, each) => (each > most ? each : most), 0n) + 1n

/** The annotations that the Deployment's ReplicaSet should have. */
export function setAnnotations(
  deployment: StoredObject,
  current: Record<string, string> | undefined,
  revision: bigint,
): Record<string, string> {
  const annotations = { ...current }
  for (const [name, value] of Object.entries(deployment.metadata.annotations ?? {}))
    if (!ownAnnotations.has(name)) annotations[name] = value
  const before = annotations[revisionAnnotation]
  if (revisionNumber(before) < revision) {
    annotations[revisionAnnotation] = String(revision)
    if (before) annotations[historyAnnotation] = [annotations[historyAnnotation], before].filter(Boolean).join(',')
  }
  return current ? annotations : { ...annotations, ...sizeAnnotations(deployment) }
}

export const sizeAnnotations = (deployment: StoredObject): Record<string, string> => ({
  [desiredAnnotation]: String(replicasOf(deployment)),
  [maxAnnotation]: String(replicasOf(deployment) + fenceposts(deployment).surge),
})

/** How many Pods the current ReplicaSet may have now. */
export function currentReplicas(deployment: StoredObject, all: StoredObject[], now: number): number {
  if (!isRolling(deployment)) return replicasOf(deployment)
  const room = replicasOf(deployment) + fenceposts(deployment).surge - totalReplicas(all)
  return room <= 0 ? now : now + Math.min(room, replicasOf(deployment) - now)
}

/** First the old Pods that are not available anyway, then as many available ones as may be missing. */
export function scaleDownOld(deployment: StoredObject, current: StoredObject, old: StoredObject[]): Scale[] {
  const all = [current, ...old]
  const atLeast = replicasOf(deployment) - maxUnavailable(deployment)
  const unavailableNew = replicasOf(current) - available(current)
  let budget = totalReplicas(all) - atLeast - unavailableNew
  if (totalReplicas(old) === 0 || budget <= 0) return []
  const sizes = new Map(old.toSorted(oldestFirst).map((set) => [set, replicasOf(set)]))
  const take = (set: StoredObject, wanted: number) => {
    const size = sizes.get(set)!
    const taken = Math.max(Math.min(size, wanted), 0)
    sizes.set(set, size - taken)
    return taken
  }
  for (const set of sizes.keys()) budget -= take(set, Math.min(budget, replicasOf(set) - available(set)))
  let spare = all.reduce((sum, set) => sum + available(set), 0) - atLeast
  for (const set of sizes.keys()) spare -= take(set, spare)
  return [...sizes].filter(([set, size]) => size !== replicasOf(set)).map(([set, replicas]) => ({ set, replicas }))
}

/** True when somebody changed the Deployment's size since its active ReplicaSets were sized. */
export const isScaling = (deployment: StoredObject, all: StoredObject[]): boolean =>
  all.some((set) => {
    const desired = set.metadata.annotations?.[desiredAnnotation]
    return replicasOf(set) > 0 && desired !== undefined && Number(desired) !== replicasOf(deployment)
  })

/** A new size shared out over ReplicaSets in the middle of a rollout, or while the Deployment is paused. */
export function shareReplicas(
  deployment: StoredObject,
  current: StoredObject | undefined,
  old: StoredObject[],
): Scale[] {
  const all = current ? [...old, current] : old
  const active = all.filter((set) => replicasOf(set) > 0)
  const desired = replicasOf(deployment)
  const single = active.length === 0 ? (current ?? old.at(-1)) : active.length === 1 ? active[0] : undefined
  if (single) return [{ set: single, replicas: desired }]
  if (active.length === 0) return []
  if (isSaturated(deployment, current))
    return old.filter((set) => replicasOf(set) > 0).map((set) => ({ set, replicas: 0 }))
  return isRolling(deployment) ? inProportion(deployment, active) : []
}

function isSaturated(deployment: StoredObject, set: StoredObject | undefined): boolean {
  const desired = replicasOf(deployment)
  return (
    set !== undefined &&
    replicasOf(set) === desired &&
    Number(set.metadata.annotations?.[desiredAnnotation]) === desired &&
    available(set) === desired
  )
}

function inProportion(deployment: StoredObject, active: StoredObject[]): Scale[] {
  const desired = replicasOf(deployment)
  const surge = fenceposts(deployment).surge
  const toAdd = (desired > 0 ? desired + surge : 0) - totalReplicas(active)
  const ageFirst = toAdd > 0 ? (a: StoredObject, b: StoredObject) => oldestFirst(b, a) : oldestFirst
  const sorted = active.toSorted((a, b) => replicasOf(b) - replicasOf(a) || ageFirst(a, b))
  let added = 0
  const sizes = sorted.map((set) => {
    const size = replicasOf(set)
    const left = toAdd - added
    const share = toAdd === 0 ? 0 : fraction(set, desired + surge, desired)
    const change = toAdd > 0 ? Math.min(share, left) : Math.max(share, left)
    added += change
    return { set, replicas: Math.max(size + change, 0) }
  })
  // What rounding left over goes to the largest.
  if (sizes[0] && toAdd !== added) sizes[0].replicas = Math.max(sizes[0].replicas + toAdd - added, 0)
  return sizes
}

/** How much a ReplicaSet grows when the Deployment's maximum size becomes `nowMax`. */
function fraction(set: StoredObject, nowMax: number, desired: number): number {
  if (desired === 0) return -replicasOf(set)
  const before = Number(set.metadata.annotations?.[maxAnnotation]) || nowMax
  return Math.round((replicasOf(set) * nowMax) / before) - replicasOf(set)
}

/** Old ReplicaSets beyond the history limit that have nothing left to do. */
export function expiredSets(deployment: StoredObject, old: StoredObject[]): StoredObject[] {
  const limit = deployment.spec.revisionHistoryLimit ?? 10
  const alive = old.filter((set) => !set.metadata.deletionTimestamp)
  return alive
    .toSorted((a, b) => Number(revisionOf(a) - revisionOf(b)) || oldestFirst(a, b))
    .slice(0, Math.max(alive.length - limit, 0))
    .filter(
      (set) =>
        !set.status?.replicas &&
        replicasOf(set) === 0 &&
        (set.metadata.generation ?? 0) <= (set.status?.observedGeneration ?? 0),
    )
}
