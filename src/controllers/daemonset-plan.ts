// Which nodes a DaemonSet's Pods belong on, which Pods to make and which to delete. Pure; pkg/controller/daemon (1.36).

import type { ApiObject, StoredObject } from '../api/meta.ts'
import { matchesNode, tolerates } from '../kinds/core/node-matching.ts'
import { resolve } from './deployment-plan.ts'
import { moment } from './moment.ts'
import { podFromTemplate } from './pod-control.ts'
import { isAvailable, isFinished, isReady } from './pod-state.ts'
import { revisionHashLabel } from './revision-history.ts'

const generationLabel = 'pod-template-generation'
const generationAnnotation = 'deprecated.daemonset.template.generation'

/** What daemons bear: a node with trouble needs them most. */
const tolerated: [key: string, effect: string][] = [
  ['not-ready', 'NoExecute'],
  ['unreachable', 'NoExecute'],
  ['disk-pressure', 'NoSchedule'],
  ['memory-pressure', 'NoSchedule'],
  ['pid-pressure', 'NoSchedule'],
  ['unschedulable', 'NoSchedule'],
]

function withTolerations(spec: any): any[] {
  const wanted = spec.hostNetwork ? [...tolerated, ['network-unavailable', 'NoSchedule'] as const] : tolerated
  const own: any[] = spec.tolerations ?? []
  const added = wanted.map(([name, effect]) => ({ key: `node.kubernetes.io/${name}`, operator: 'Exists', effect }))
  const isThere = (one: any) =>
    own.some(
      ({ key, operator, effect, value }) => key === one.key && operator === 'Exists' && effect === one.effect && !value,
    )
  return [...own, ...added.filter((one) => !isThere(one))]
}

/** Any other requirement stays; the node's name is added to each way of meeting them. */
function pinned(affinity: any, nodeName: string): any {
  const matchFields = [{ key: 'metadata.name', operator: 'In', values: [nodeName] }]
  const required = 'requiredDuringSchedulingIgnoredDuringExecution'
  // The name replaces whatever terms there were: that the node fits them has been checked before.
  const nodeAffinity = { ...affinity?.nodeAffinity, [required]: { nodeSelectorTerms: [{ matchFields }] } }
  return { ...affinity, nodeAffinity }
}

/** The Pod for a node. */
export function daemonPod(set: StoredObject, hash: string, nodeName: string): ApiObject {
  const pod = podFromTemplate(set, set.spec.template)
  const generation = set.metadata.annotations?.[generationAnnotation]
  pod.metadata.labels = {
    ...pod.metadata.labels,
    ...(generation && { [generationLabel]: generation }),
    [revisionHashLabel]: hash,
  }
  pod.spec = {
    ...pod.spec,
    tolerations: withTolerations(pod.spec),
    affinity: pinned(pod.spec.affinity, nodeName),
  }
  return pod
}

/** The node that a Pod is on or is meant for. */
export function targetNode(pod: StoredObject): string {
  if (pod.spec.nodeName) return pod.spec.nodeName
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  for (const { matchFields = [] } of required?.nodeSelectorTerms ?? [])
    for (const { key, operator, values = [] } of matchFields)
      if (key === 'metadata.name' && operator === 'In' && values.length === 1) return values[0]
  return ''
}

export interface NodeFit {
  shouldRun: boolean
  /** A Pod that is there already may stay. */
  mayStay: boolean
}

export function fitOf(set: StoredObject, node: StoredObject): NodeFit {
  const { spec } = set.spec.template
  const isOther = spec.nodeName && spec.nodeName !== node.metadata.name
  if (isOther || !matchesNode({ ...node, spec } as StoredObject, node)) return { shouldRun: false, mayStay: false }
  const tolerations = withTolerations(spec)
  const bad = (node.spec?.taints ?? []).filter(
    (taint: any) => taint.effect !== 'PreferNoSchedule' && !tolerates(tolerations, taint),
  )
  return { shouldRun: bad.length === 0, mayStay: !bad.some((taint: any) => taint.effect === 'NoExecute') }
}

/** The set's Pods by node; '' has those that are meant for none. */
export function podsByNode(pods: StoredObject[]): Map<string, StoredObject[]> {
  const found = new Map<string, StoredObject[]>()
  for (const pod of pods) {
    if (pod.metadata.deletionTimestamp && isFinished(pod)) continue
    const node = targetNode(pod)
    found.set(node, [...(found.get(node) ?? []), pod])
  }
  return found
}

/** Pods with a node first, then the oldest. */
const seniority = (a: StoredObject, b: StoredObject): number =>
  Number(Boolean(b.spec.nodeName)) - Number(Boolean(a.spec.nodeName)) ||
  moment(a.metadata.creationTimestamp) - moment(b.metadata.creationTimestamp) ||
  (a.metadata.name < b.metadata.name ? -1 : 1)

export const hashOf = (pod: StoredObject): string => pod.metadata.labels?.[revisionHashLabel] ?? ''

const rolling = (set: StoredObject): any =>
  set.spec.updateStrategy?.type === 'RollingUpdate' ? set.spec.updateStrategy.rollingUpdate : undefined

const surgeOf = (set: StoredObject, nodes: number): number => resolve(rolling(set)?.maxSurge ?? 0, nodes, true)
const allowsSurge = (set: StoredObject): boolean => surgeOf(set, 100) > 0

export interface NodePlan {
  create: boolean
  /** Pods that have ended; the caller says so and waits between tries. */
  ended: StoredObject[]
  surplus: StoredObject[]
}

/** What to do on one node, updates aside. */
export function planNode(set: StoredObject, fit: NodeFit, pods: StoredObject[], hash: string, now: number): NodePlan {
  const plan: NodePlan = { create: fit.shouldRun && pods.length === 0, ended: [], surplus: [] }
  const staying = pods.filter((pod) => !pod.metadata.deletionTimestamp)
  if (!fit.mayStay) return { ...plan, surplus: staying }
  plan.ended = staying.filter(isFinished)
  const running = staying.filter((pod) => !isFinished(pod)).sort(seniority)
  if (!allowsSurge(set)) return { ...plan, surplus: running.slice(1) }
  if (!running.length && fit.shouldRun && plan.ended.length === 0) plan.create = true
  if (running.length > 1) plan.surplus = surgeSurplus(set, running, hash, now)
  return plan
}

/** Two may be there while the new one is not available and the old one is ready. */
function surgeSurplus(set: StoredObject, running: StoredObject[], hash: string, now: number): StoredObject[] {
  const fresh = running.find((pod) => hashOf(pod) === hash)
  const old = running.find((pod) => hashOf(pod) !== hash)
  const surplus = running.filter((pod) => pod !== fresh && pod !== old)
  const isReplaced = fresh && isAvailable(fresh, set.spec.minReadySeconds ?? 0, now)
  if (fresh && old && (!isReady(old) || isReplaced)) surplus.push(old)
  return surplus
}

export interface UpdatePlan {
  delete: StoredObject[]
  /** Nodes that get a second Pod. */
  create: string[]
}

interface Pair {
  fresh: StoredObject | undefined
  old: StoredObject | undefined
  isClear: boolean
}

function pairOf(pods: StoredObject[], hash: string): Pair {
  const staying = pods.filter((pod) => !pod.metadata.deletionTimestamp)
  const fresh = staying.filter((pod) => hashOf(pod) === hash)
  const old = staying.filter((pod) => hashOf(pod) !== hash)
  return { fresh: fresh[0], old: old[0], isClear: fresh.length < 2 && old.length < 2 }
}

/** The next step of a rolling update. `fits`: every node. */
export function planUpdate(
  set: StoredObject,
  byNode: Map<string, StoredObject[]>,
  fits: Map<string, NodeFit>,
  hash: string,
  now: number,
): UpdatePlan {
  if (!rolling(set)) return { delete: [], create: [] }
  const desired = [...fits.values()].filter((fit) => fit.shouldRun).length
  const surge = surgeOf(set, desired)
  // Both zero would never move.
  const share = resolve(rolling(set).maxUnavailable ?? 1, desired, true)
  const unavailable = surge === 0 && share === 0 ? 1 : share
  const isUp = (pod: StoredObject) => isAvailable(pod, set.spec.minReadySeconds ?? 0, now)
  const nodes = [...byNode].filter(([name]) => fits.has(name))
  return surge === 0
    ? replaceOld(
        nodes.map(([, pods]) => pairOf(pods, hash)),
        unavailable,
        isUp,
      )
    : surgeNew(
        nodes.map(([name, pods]) => ({ ...pairOf(pods, hash), name, fit: fits.get(name)! })),
        surge,
        desired,
        isUp,
      )
}

function replaceOld(pairs: Pair[], maxUnavailable: number, isUp: (pod: StoredObject) => boolean): UpdatePlan {
  let down = 0
  const now: StoredObject[] = []
  const candidates: StoredObject[] = []
  for (const { fresh, old, isClear } of pairs) {
    if (!isClear || Boolean(fresh) === Boolean(old)) down++
    else if (fresh) down += isUp(fresh) ? 0 : 1
    else if (isUp(old!)) candidates.push(old!)
    else {
      now.push(old!)
      down++
    }
  }
  return { delete: [...now, ...candidates.slice(0, Math.max(maxUnavailable - down, 0))], create: [] }
}

function surgeNew(
  nodes: (Pair & { name: string; fit: NodeFit })[],
  maxSurge: number,
  desired: number,
  isUp: (pod: StoredObject) => boolean,
): UpdatePlan {
  const plan: UpdatePlan = { delete: [], create: [] }
  const candidates: string[] = []
  const misplaced: StoredObject[] = []
  let surging = 0
  let up = 0
  for (const { fresh, old, isClear, name, fit } of nodes) {
    if (!isClear) {
      surging++
      continue
    }
    const counted = old ?? fresh
    if (counted && isUp(counted)) up++
    if (!old) continue
    if (fresh) {
      if (isUp(fresh)) plan.delete.push(old)
      else surging++
    } else if (!fit.shouldRun) (isUp(old) ? misplaced : plan.delete).push(old)
    else (isUp(old) ? candidates : plan.create).push(name)
  }
  plan.delete.push(...misplaced.slice(0, Math.max(up - desired, 0)))
  plan.create.push(...candidates.slice(0, Math.max(maxSurge - surging, 0)))
  return plan
}

export function daemonSetStatus(
  set: StoredObject,
  byNode: Map<string, StoredObject[]>,
  fits: Map<string, NodeFit>,
  hash: string,
  now: number,
): Record<string, number> {
  const count = { desired: 0, current: 0, misscheduled: 0, ready: 0, available: 0, updated: 0 }
  for (const [name, fit] of fits) {
    const pod = (byNode.get(name) ?? []).toSorted(seniority)[0]
    if (!fit.shouldRun) {
      if (pod) count.misscheduled++
      continue
    }
    count.desired++
    if (!pod) continue
    count.current++
    if (isReady(pod)) count.ready++
    if (isAvailable(pod, set.spec.minReadySeconds ?? 0, now)) count.available++
    if (hashOf(pod) === hash) count.updated++
  }
  return {
    desiredNumberScheduled: count.desired,
    currentNumberScheduled: count.current,
    numberMisscheduled: count.misscheduled,
    numberReady: count.ready,
    updatedNumberScheduled: count.updated,
    numberAvailable: count.available,
    numberUnavailable: count.desired - count.available,
    observedGeneration: set.metadata.generation ?? 0,
  }
}
