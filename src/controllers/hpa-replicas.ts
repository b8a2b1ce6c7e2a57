// How many replicas a metric asks for. Pure; replica_calculator.go of pkg/controller/podautoscaler (1.36).

import type { StoredObject } from '../api/meta.ts'
import { tryParseQuantity } from '../api/quantity.ts'
import { findCondition } from './conditions.ts'
import { moment } from './moment.ts'

/** CPU of a Pod that has just started says nothing about its load. */
const startupMs = 300_000
const firstReadinessMs = 30_000

/** What was measured of a Pod, in thousandths of the unit. */
export interface Measured {
  value: number
  at: number
  windowMs: number
}

export interface Tolerances {
  up: number
  down: number
}

export const milli = (quantity: string | undefined): number =>
  Number((tryParseQuantity(String(quantity ?? '0'))?.nanos ?? 0n) / 1_000_000n)

interface Groups {
  readyCount: number
  unready: StoredObject[]
  missing: StoredObject[]
  /** Measured Pods that count. */
  metrics: Map<string, number>
}

function isUnready(pod: StoredObject, measured: Measured, isCpu: boolean, now: number): boolean {
  if (pod.status?.phase === 'Pending') return true
  if (!isCpu) return false
  const ready = findCondition(pod.status?.conditions, 'Ready')
  const start = moment(pod.status?.startTime)
  if (!ready || Number.isNaN(start)) return true
  const changed = moment(ready.lastTransitionTime)
  if (start + startupMs > now) return ready.status === 'False' || measured.at < changed + measured.windowMs
  return ready.status === 'False' && start + firstReadinessMs > changed
}

export function groupPods(pods: StoredObject[], measured: Map<string, Measured>, isCpu: boolean, now: number): Groups {
  const groups: Groups = { readyCount: 0, unready: [], missing: [], metrics: new Map() }
  for (const pod of pods) {
    const { name, deletionTimestamp } = pod.metadata
    if (deletionTimestamp || pod.status?.phase === 'Failed') continue
    const found = measured.get(name)
    if (pod.status?.phase === 'Pending') groups.unready.push(pod)
    else if (!found) groups.missing.push(pod)
    else if (isUnready(pod, found, isCpu, now)) groups.unready.push(pod)
    else {
      groups.readyCount++
      groups.metrics.set(name, found.value)
    }
  }
  return groups
}

const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0)
const isWithin = (ratio: number, { up, down }: Tolerances): boolean => ratio >= 1 - down && ratio <= 1 + up

/** What a resource's Pods request; @throws Error when one does not say. */
export function podRequests(pods: StoredObject[], resource: string, container?: string): Map<string, number> {
  const requests = new Map<string, number>()
  for (const pod of pods) {
    const sidecars = (pod.spec.initContainers ?? []).filter((each: any) => each.restartPolicy === 'Always')
    const counted = [...(pod.spec.containers ?? []), ...sidecars].filter(({ name }) => !container || name === container)
    if (container && !counted.length) throw new Error(`container ${container} not found in Pod ${pod.metadata.name}`)
    let total = 0
    for (const { name, resources } of counted) {
      const request = resources?.requests?.[resource]
      if (request === undefined)
        throw new Error(`missing request for ${resource} in container ${name} of Pod ${pod.metadata.name}`)
      total += milli(request)
    }
    requests.set(pod.metadata.name, total)
  }
  return requests
}

export interface Asked {
  replicas: number
  /** Per cent of the requests, for a utilization. */
  utilization?: number
  /** Thousandths per Pod. */
  average: number
}

interface Question {
  current: number
  groups: Groups
  tolerances: Tolerances
  /** How far over (> 1) or under the target the Pods with these values are. */
  ratioOf: (values: Map<string, number>) => number
  /** What a Pod that was not measured is taken for when others ask for fewer. */
  assumed: (pod: StoredObject) => number
}

function answer({ current, groups, tolerances, ratioOf, assumed }: Question): number {
  const ratio = ratioOf(groups.metrics)
  const growsPastUnready = groups.unready.length > 0 && ratio > 1
  if (!growsPastUnready && !groups.missing.length)
    return isWithin(ratio, tolerances) ? current : Math.ceil(ratio * groups.readyCount)
  const values = new Map(groups.metrics)
  for (const pod of groups.missing) {
    if (ratio < 1) values.set(pod.metadata.name, assumed(pod))
    else if (ratio > 1) values.set(pod.metadata.name, 0)
  }
  if (growsPastUnready) for (const pod of groups.unready) values.set(pod.metadata.name, 0)
  const careful = ratioOf(values)
  if (isWithin(careful, tolerances) || (ratio < 1 && careful > 1) || (ratio > 1 && careful < 1)) return current
  const replicas = Math.ceil(careful * values.size)
  // A guess never turns the direction around.
  return (careful < 1 && replicas > current) || (careful > 1 && replicas < current) ? current : replicas
}

const noMetrics = () => new Error('did not receive metrics for targeted pods (pods might be unready)')

/** For a target in per cent of what the Pods request. @throws Error */
export function utilizationReplicas(
  current: number,
  target: number,
  groups: Groups,
  requests: Map<string, number>,
  tolerances: Tolerances,
): Asked {
  if (!groups.metrics.size) throw noMetrics()
  const utilizationOf = (values: Map<string, number>): number => {
    const wanted = sum([...values.keys()].map((name) => requests.get(name) ?? 0))
    if (wanted === 0) throw new Error('no metrics returned matched known pods')
    return Math.floor((sum(values.values()) * 100) / wanted)
  }
  const replicas = answer({
    current,
    groups,
    tolerances,
    ratioOf: (values) => utilizationOf(values) / target,
    assumed: ({ metadata }) => ((requests.get(metadata.name) ?? 0) * Math.max(100, target)) / 100,
  })
  const average = Math.floor(sum(groups.metrics.values()) / groups.metrics.size)
  return { replicas, utilization: utilizationOf(groups.metrics), average }
}

/** For a target per Pod, in thousandths. @throws Error */
export function averageReplicas(current: number, target: number, groups: Groups, tolerances: Tolerances): Asked {
  if (!groups.metrics.size) throw noMetrics()
  const averageOf = (values: Map<string, number>) => sum(values.values()) / values.size
  const replicas = answer({
    current,
    groups,
    tolerances,
    ratioOf: (values) => averageOf(values) / target,
    assumed: () => target,
  })
  return { replicas, average: Math.floor(averageOf(groups.metrics)) }
}

/** For one value of something else: `target` for all Pods together, or for each. */
export function valueReplicas(
  current: number,
  ready: number,
  value: number,
  target: { value: number } | { average: number },
  tolerances: Tolerances,
): number {
  if ('average' in target) {
    const ratio = current === 0 ? Number.POSITIVE_INFINITY : value / (target.average * current)
    return isWithin(ratio, tolerances) ? current : Math.ceil(value / target.average)
  }
  const ratio = value / target.value
  if (current === 0) return Math.ceil(ratio)
  return isWithin(ratio, tolerances) ? current : Math.ceil(ratio * ready)
}
