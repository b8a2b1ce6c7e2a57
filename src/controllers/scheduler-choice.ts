// Which node a Pod gets: filters, then preferences. Pure; order and words of pkg/scheduler (1.36).

import type { StoredObject } from '../api/meta.ts'
import { matchesNodeTerms, type Taint, tolerates } from '../kinds/core/node-matching.ts'
import { type NodeEntry, type PodEntry, placeWith } from './scheduler-book.ts'
import { hostPorts, type Misfit, misfits, podRequests } from './scheduler-fit.ts'
import { affinityMisfits, type Surroundings, spreadMisfits, topologyScore } from './scheduler-topology.ts'

const entryOf = (pod: StoredObject): PodEntry => ({ pod, requests: podRequests(pod), ports: hostPorts(pod) })

/** Why the Pod cannot go to the node; empty when it can. */
export function whyNot(pod: StoredObject, entry: NodeEntry, around: Surroundings): Misfit[] {
  const coming = around.nominated.filter(({ nodeName }) => nodeName === entry.name).map((one) => entryOf(one.pod))
  const own = misfits(pod, placeWith(entry, around.without, coming))
  if (own.length) return own
  const spread = spreadMisfits(pod, entry, around)
  return spread.length ? spread : affinityMisfits(pod, entry, around)
}

/** The best of nodes that fit. */
export function choose(pod: StoredObject, fitting: NodeEntry[], around: Surroundings): NodeEntry | undefined {
  if (fitting.length < 2) return fitting[0]
  const scored = fitting.map((entry) => ({ entry, score: scoreOf(pod, entry, around) }))
  return scored.reduce((best, one) => (one.score > best.score ? one : best)).entry
}

/** Weights as in the default profile: taints 3, node affinity 2, pod affinity 2, spread 2, free resources 1. */
function scoreOf(pod: StoredObject, entry: NodeEntry, around: Surroundings): number {
  const node = entry.node!
  const bad = (taint: Taint) => taint.effect === 'PreferNoSchedule' && !tolerates(pod.spec.tolerations, taint)
  const taints = ((node.spec?.taints ?? []) as Taint[]).filter(bad).length
  const wishes = pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []
  const wished = wishes.reduce(
    (sum: number, { weight, preference }: any) => sum + (matchesNodeTerms(node, [preference]) ? weight : 0),
    0,
  )
  return -300 * taints + 2 * wished + 2 * topologyScore(pod, entry, around) + freeShare(entry)
}

/** 0 … 100 */
function freeShare({ node, used }: NodeEntry): number {
  const allocatable = placeAmounts(node!)
  const shares = ['cpu', 'memory'].map((name) => {
    const there = allocatable.get(name) ?? 0n
    return there === 0n ? 0 : Number(((there - (used.get(name) ?? 0n)) * 100n) / there)
  })
  return (shares[0]! + shares[1]!) / 2
}

const placeAmounts = (node: StoredObject) =>
  podRequests({ ...node, spec: { containers: [{ resources: { requests: node.status?.allocatable } }] } })

/** '0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable. preemption: …' */
export function failureText(found: Misfit[][], preemption: string): string {
  if (found.length === 0) return 'no nodes available to schedule pods'
  const reasons = new Map<string, number>()
  for (const { reason } of found.flat()) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  const told = [...reasons].map(([reason, count]) => `${count} ${reason}`).sort()
  return `0/${found.length} nodes are available: ${told.join(', ')}. preemption: ${preemption}`
}

/** '0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.' */
export function noVictimsText(found: Misfit[][]): string {
  const helpful = found.filter((misfits) => misfits.every(({ helped }) => helped)).length
  const parts = [
    ...(helpful ? [`${helpful} No preemption victims found for incoming pod`] : []),
    ...(found.length > helpful ? [`${found.length - helpful} Preemption is not helpful for scheduling`] : []),
  ]
  return `0/${found.length} nodes are available: ${parts.join(', ')}.`
}
