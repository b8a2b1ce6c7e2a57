// What a VirtualMachinePool wants to happen to its machines now. Pure; behaviour of KubeVirt's virt-controller
// (pkg/virt-controller/watch/pool, 1.9).

import type { ApiObject, StoredObject } from '../api/meta.ts'
import { selectorMatcher } from '../api/selector.ts'
import { parseDuration } from '../api/time.ts'
import { findCondition } from './conditions.ts'
import { moment } from './moment.ts'
import { controllerReference } from './ownership.ts'
import { templateHash } from './template-hash.ts'

/** On a machine and its instance: the state of the pool's template that they are of. */
export const poolRevisionLabel = 'kubevirt.io/vm-pool-revision-name'
/** Machines made or removed in one go. */
const burst = 25
const defaultThreshold = 3
const defaultFailingMs = 300_000

export interface PoolPlan {
  /** Numbers of machines to be made. */
  create: number[]
  delete: StoredObject[]
  /** Machines whose spec is of an older template. */
  update: StoredObject[]
  /** Instances that are to be made anew. */
  restart: StoredObject[]
}

export const revisionName = (pool: StoredObject): string =>
  `${pool.metadata.name}-${templateHash([pool.spec.virtualMachineTemplate, pool.spec.nameGeneration])}`

export const isOutdated = (object: StoredObject, revision: string): boolean =>
  object.metadata.labels?.[poolRevisionLabel] !== revision

const numberOf = (machine: StoredObject): number => Number(/-(\d+)$/.exec(machine.metadata.name)?.[1] ?? -1)

/** `instances` by the name of their machine. */
export function planPool(
  pool: StoredObject,
  machines: StoredObject[],
  instances: Map<string, StoredObject>,
  now: number,
  random: () => number = Math.random,
): PoolPlan {
  const { spec } = pool
  const active = machines.filter((machine) => !machine.metadata.deletionTimestamp)
  const plan: PoolPlan = { create: [], delete: [], update: [], restart: [] }
  if (spec.paused) return plan
  const surplus = active.length - (spec.replicas ?? 1)
  if (surplus < 0) plan.create = freeNumbers(machines, Math.min(-surplus, burst))
  else if (surplus > 0) plan.delete = scaledIn(pool, active, Math.min(surplus, burst), random)
  if (plan.delete.length === 0) plan.delete = active.filter((machine) => isSick(pool, machine, now))
  return { ...plan, ...updates(pool, active, instances, plan.delete, random) }
}

/** The lowest that no machine has, those on their way out included. */
function freeNumbers(machines: StoredObject[], count: number): number[] {
  const taken = new Set(machines.map(numberOf))
  const free: number[] = []
  for (let number = 0; free.length < count; number++) if (!taken.has(number)) free.push(number)
  return free
}

/** Nobody is taken out under a strategy that leaves it to people. */
function scaledIn(pool: StoredObject, active: StoredObject[], count: number, random: () => number): StoredObject[] {
  const { unmanaged, opportunistic, proactive } = pool.spec.scaleInStrategy ?? {}
  if (unmanaged || opportunistic) return []
  return inOrder(active, proactive?.selectionPolicy, random).slice(0, count)
}

/** Those that the policy selects, the first to go first. */
function inOrder(machines: StoredObject[], policy: any, random: () => number): StoredObject[] {
  const { labelSelector } = policy?.selectors ?? {}
  const selected = labelSelector
    ? machines.filter((machine) => selectorMatcher(labelSelector).matches(machine.metadata.labels))
    : machines
  const age = (a: StoredObject, b: StoredObject) =>
    a.metadata.creationTimestamp!.localeCompare(b.metadata.creationTimestamp!) || numberOf(a) - numberOf(b)
  switch (policy?.sortPolicy) {
    case 'AscendingOrder':
      return selected.toSorted((a, b) => numberOf(a) - numberOf(b))
    case 'DescendingOrder':
      return selected.toSorted((a, b) => numberOf(b) - numberOf(a))
    case 'Oldest':
      return selected.toSorted(age)
    case 'Newest':
      return selected.toSorted((a, b) => age(b, a))
    default: {
      const places = new Map(selected.map((machine) => [machine, random()]))
      return selected.toSorted((a, b) => places.get(a)! - places.get(b)!)
    }
  }
}

/** It failed to start too often and for too long: another one may do better. */
function isSick(pool: StoredObject, machine: StoredObject, now: number): boolean {
  const { autohealing } = pool.spec
  if (!autohealing) return false
  const failures = machine.status?.startFailure?.consecutiveFailCount ?? 0
  if (failures < (autohealing.startUpFailureThreshold ?? defaultThreshold)) return false
  const ready = findCondition(machine.status?.conditions, 'Ready')
  const longest = parseDuration(String(autohealing.minFailingToStartDuration ?? '')) ?? defaultFailingMs
  return ready?.status === 'False' && now - moment(ready.lastTransitionTime ?? undefined) >= longest
}

function updates(
  pool: StoredObject,
  active: StoredObject[],
  instances: Map<string, StoredObject>,
  leaving: StoredObject[],
  random: () => number,
): Pick<PoolPlan, 'update' | 'restart'> {
  const { unmanaged, opportunistic, proactive } = pool.spec.updateStrategy ?? {}
  if (unmanaged) return { update: [], restart: [] }
  const revision = revisionName(pool)
  const staying = active.filter((machine) => !leaving.includes(machine))
  const update = staying.filter((machine) => isOutdated(machine, revision))
  if (opportunistic) return { update, restart: [] }
  const outdated = staying.filter((machine) => {
    const instance = instances.get(machine.metadata.name)
    // Only a machine that has its new spec already comes up with it.
    return (
      instance && !instance.metadata.deletionTimestamp && !update.includes(machine) && isOutdated(instance, revision)
    )
  })
  const isDown = (machine: StoredObject) => machine.status?.ready !== true
  const room = unavailableLimit(pool, active.length) - staying.filter(isDown).length
  const chosen = inOrder(outdated, proactive?.selectionPolicy, random)
  // What is down already does not become more unavailable by being restarted.
  const restart = [...chosen.filter(isDown), ...chosen.filter((one) => !isDown(one)).slice(0, Math.max(0, room))]
  return { update, restart: restart.map((machine) => instances.get(machine.metadata.name)!) }
}

function unavailableLimit(pool: StoredObject, count: number): number {
  const given = pool.spec.maxUnavailable ?? '100%'
  if (typeof given === 'number') return given
  const percent = /^(\d+)%$/.exec(given)
  return percent ? Math.max(1, Math.ceil((count * Number(percent[1])) / 100)) : Number(given)
}

export function machineOf(pool: StoredObject, number: number): ApiObject {
  const { metadata } = pool.spec.virtualMachineTemplate
  const { name, namespace } = pool.metadata
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: {
      name: `${name}-${number}`,
      namespace: namespace!,
      labels: { ...metadata?.labels, [poolRevisionLabel]: revisionName(pool) },
      ...(metadata?.annotations && { annotations: { ...metadata.annotations } }),
      ownerReferences: [controllerReference(pool)],
    },
    spec: machineSpec(pool, number),
  }
}

export function updatedMachine(pool: StoredObject, machine: StoredObject): StoredObject {
  const { metadata } = pool.spec.virtualMachineTemplate
  const spec = machineSpec(pool, numberOf(machine)) as any
  // What was asked of this one machine since stays: whether it runs, and who it is.
  const { runStrategy, running, template } = machine.spec
  for (const name of ['runStrategy', 'running']) delete spec[name]
  Object.assign(spec, running === undefined ? { runStrategy } : { running })
  const { uuid, serial } = template?.spec?.domain?.firmware ?? {}
  const { firmware } = spec.template.spec.domain
  spec.template.spec.domain.firmware = { ...(uuid && { uuid }), ...(serial && { serial }), ...firmware }
  const labels = { ...machine.metadata.labels, ...metadata?.labels, [poolRevisionLabel]: revisionName(pool) }
  const annotations = { ...machine.metadata.annotations, ...metadata?.annotations }
  return { ...machine, metadata: { ...machine.metadata, labels, annotations }, spec }
}

function machineSpec(pool: StoredObject, number: number): object {
  const spec = structuredClone(pool.spec.virtualMachineTemplate.spec)
  spec.template.metadata ??= {}
  const { metadata } = spec.template
  metadata.labels = { ...metadata.labels, [poolRevisionLabel]: revisionName(pool) }
  const { appendIndexToConfigMapRefs: maps, appendIndexToSecretRefs: secrets } = pool.spec.nameGeneration ?? {}
  const numbered = (owner: any, field: string) => {
    if (owner?.[field]) owner[field] = `${owner[field]}-${number}`
  }
  for (const volume of spec.template.spec?.volumes ?? []) {
    if (maps) numbered(volume.configMap, 'name')
    if (!secrets) continue
    numbered(volume.secret, 'secretName')
    for (const cloudInit of [volume.cloudInitNoCloud, volume.cloudInitConfigDrive]) {
      numbered(cloudInit?.secretRef, 'name')
      numbered(cloudInit?.networkDataSecretRef, 'name')
    }
  }
  return spec
}
