// The status of a VirtualMachine, made from its instance and its claims. Pure; fields, reasons and the order of the
// printable states as in KubeVirt's virt-controller (1.9).

import type { StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { type Condition, findCondition, isTrue, withCondition, withoutCondition } from './conditions.ts'
import { restartReason } from './machine-live.ts'
import {
  generationAnnotation,
  isSaved,
  isSetToStart,
  openRequests,
  type StateChange,
  strategyOf,
} from './machine-plan.ts'
import { moment } from './moment.ts'
import { isFinished, isReady } from './pod-state.ts'
import { volumeSnapshotStatuses } from './snapshot-plan.ts'
import { claimsOfMachine } from './volume-matching.ts'

const firstBackoffMs = 10_000
const longestBackoffMs = 300_000
/**
 * An instance that failed before it ran this long counts as one that did not start, where another one follows by itself.
 * KubeVirt counts only those that never ran; its launchers take so long to start that nothing turns in a tight circle.
 */
const shortestRunMs = 10_000

export interface MachineFacts {
  machine: StoredObject
  instance: StoredObject | undefined
  /** Claims that the volumes name, undefined where there is none of that name. */
  claims: (StoredObject | undefined)[]
  /** DataVolumes that the volumes name, as far as they exist. */
  dataVolumes?: StoredObject[]
  /** What the last attempt to create or delete the instance ran into. */
  failure?: { reason: string; message: string } | undefined
  /** To be added to the requests, after the stop of a failed instance. */
  addStart?: boolean
  now: number
  /** 0 to 1, by chance: keeps machines that fail together from starting together. */
  chance?: number
}

interface StartFailure {
  consecutiveFailCount: number
  lastFailedVMIUID: string
  retryAfterTimestamp: string
}

/** 10 s, 40 s, 90 s …: ten seconds times the square of the failures in a row, and up to half as much by chance; 5 min. */
export function startBackoff(failures: number, chance = 0): number {
  const least = failures ** 2 * firstBackoffMs
  return Math.min(least + Math.floor((chance * least) / 2000) * 1000, longestBackoffMs)
}

function ranWell(instance: StoredObject, strategy: string, now: number): boolean {
  const transitions: any[] = instance.status?.phaseTransitionTimestamps ?? []
  const at = (phase: string) => moment(transitions.find((each) => each.phase === phase)?.phaseTransitionTimestamp)
  const started = at('Running')
  if (Number.isNaN(started)) return false
  if (instance.status?.phase === 'Succeeded' || strategy === 'Once') return true
  const failed = at('Failed')
  return (Number.isNaN(failed) ? now : failed) - started >= shortestRunMs
}

const countsFailures = new Set(['Always', 'RerunOnFailure', 'Once'])

export function startFailure({ machine, instance, now, chance }: MachineFacts): StartFailure | undefined {
  const known: StartFailure | undefined = machine.status?.startFailure
  const strategy = strategyOf(machine)
  if (!countsFailures.has(strategy)) return undefined
  if (instance && ranWell(instance, strategy, now)) return undefined
  if (!instance || !isFinished(instance) || known?.lastFailedVMIUID === instance.metadata.uid) return known
  const consecutiveFailCount = (known?.consecutiveFailCount ?? 0) + 1
  return {
    consecutiveFailCount,
    lastFailedVMIUID: instance.metadata.uid,
    retryAfterTimestamp: formatTime(now + startBackoff(consecutiveFailCount, chance)),
  }
}

/** The first of these that holds. */
export function printableStatus(facts: MachineFacts, failure: StartFailure | undefined): string {
  const { machine, instance } = facts
  if (machine.metadata.deletionTimestamp) return 'Terminating'
  const isOver = instance !== undefined && isFinished(instance)
  if (instance?.metadata.deletionTimestamp && !isOver) return 'Stopping'
  if (instance && isMigrating(instance, facts.now)) return 'Migrating'
  if (instance?.status?.phase === 'Running') return isTrue(instance.status.conditions, 'Paused') ? 'Paused' : 'Running'
  return (
    whyNotStarted(facts, isOver) ??
    (instance ? withInstance(facts, instance, isOver, failure) : withoutInstance(machine, failure))
  )
}

function withInstance(
  { machine }: MachineFacts,
  instance: StoredObject,
  isOver: boolean,
  failure: StartFailure | undefined,
): string {
  if (isOver) return isLooping(machine, failure) ? 'CrashLoopBackOff' : stoppedStatus(machine)
  const phase = instance.status?.phase ?? ''
  if (['', 'Pending', 'Scheduling', 'Scheduled'].includes(phase)) return 'Starting'
  return phase === 'WaitingForSync' && strategyOf(machine) === 'WaitAsReceiver' ? 'WaitingForReceiver' : 'Unknown'
}

function withoutInstance(machine: StoredObject, failure: StartFailure | undefined): string {
  if (isLooping(machine, failure)) return 'CrashLoopBackOff'
  if (strategyOf(machine) === 'WaitAsReceiver') return 'WaitingForReceiver'
  return isSetToStart(machine) ? 'Starting' : stoppedStatus(machine)
}

const stoppedStatus = (machine: StoredObject): string => (isSaved(machine) ? 'Hibernated' : 'Stopped')

const isLooping = (machine: StoredObject, failure: StartFailure | undefined): boolean =>
  failure !== undefined && failure.consecutiveFailCount > 0 && countsFailures.has(strategyOf(machine))

function isMigrating(instance: StoredObject, now: number): boolean {
  const { startTimestamp, endTimestamp } = instance.status?.migrationState ?? {}
  return moment(startTimestamp) <= now && !(moment(endTimestamp) <= now)
}

/** What a volume, the place on the machine or an image is in the way of. */
function whyNotStarted({ machine, instance, claims, dataVolumes = [] }: MachineFacts, isOver: boolean) {
  const isToStart = instance ? !isOver : isSetToStart(machine)
  const condition = (type: string) => {
    const found = findCondition(instance?.status?.conditions, type)
    return found?.status === 'False' ? found.reason : undefined
  }
  const synchronized = condition('Synchronized')
  const isProvided = (claim: StoredObject | undefined, name: string) =>
    claim !== undefined || dataVolumes.some(({ metadata }) => metadata.name === name)
  const names = claimsOfMachine(machine.spec.template ?? {})
  if (synchronized === 'FailedPvcNotFound' || (isToStart && claims.some((claim, at) => !isProvided(claim, names[at]!))))
    return 'ErrorPvcNotFound'
  if (dataVolumes.some(hasDataVolumeError)) return 'DataVolumeError'
  if (condition('PodScheduled') === 'Unschedulable') return 'ErrorUnschedulable'
  if (dataVolumes.some(isProvisioning)) return 'Provisioning'
  if (isToStart && claims.some((claim) => claim && claim.status?.phase !== 'Bound')) return 'WaitingForVolumeBinding'
  return synchronized === 'ErrImagePull' || synchronized === 'ImagePullBackOff' ? synchronized : undefined
}

function hasDataVolumeError({ status }: StoredObject): boolean {
  const running = findCondition(status?.conditions, 'Running')
  const isBroken = running?.reason === 'Error' || running?.reason === 'ImagePullFailed'
  return status?.phase === 'Failed' || (running?.status === 'False' && isBroken)
}

/** One that waits for its first consumer is not being provided yet, unless its claim is bound. */
function isProvisioning({ status }: StoredObject): boolean {
  if (status?.phase === 'Succeeded' || status?.phase === 'PendingPopulation') return false
  return status?.phase !== 'WaitForFirstConsumer' || isTrue(status.conditions, 'Bound')
}

/** Conditions of the instance, as they are, and those that only the machine has. */
function conditionsOf(facts: MachineFacts): Condition[] {
  const { machine, instance, failure, now } = facts
  const time = formatTime(now)
  const before: Condition[] = machine.status?.conditions ?? []
  const own = before.filter(({ type }) => type === 'RestartRequired' || type === 'Ready' || type === 'Failure')
  let conditions = own
  if (instance) {
    for (const condition of (instance.status?.conditions ?? []) as Condition[])
      conditions = [...withoutCondition(conditions, condition.type), condition]
  }
  if (!findCondition(instance?.status?.conditions, 'Ready'))
    conditions = withCondition(
      conditions,
      { type: 'Ready', status: 'False', reason: 'VMINotExists', message: 'VMI does not exist', lastProbeTime: null },
      time,
    )
  conditions = failure
    ? withCondition(conditions, { type: 'Failure', status: 'True', ...failure, lastProbeTime: null }, time)
    : withoutCondition(conditions, 'Failure')
  const message = instance && restartReason(machine, instance)
  return message
    ? withCondition(conditions, { type: 'RestartRequired', status: 'True', message, lastProbeTime: null }, time)
    : withoutCondition(conditions, 'RestartRequired')
}

export function machineStatus(facts: MachineFacts): Record<string, unknown> {
  const { machine, instance, addStart } = facts
  const generation = machine.metadata.generation ?? 1
  const startFailed = startFailure(facts)
  const requests: StateChange[] = openRequests(machine, instance)
  if (addStart && !requests.some(({ action }) => action === 'Start')) requests.push({ action: 'Start' })
  const { startFailure: _, stateChangeRequests: __, ...rest } = machine.status ?? {}
  return {
    ...rest,
    created: instance !== undefined,
    ready: instance !== undefined && isReady(instance),
    printableStatus: printableStatus(facts, startFailed),
    // Tells whether it was ever started: set with the first instance.
    ...((machine.status?.runStrategy || instance) && { runStrategy: strategyOf(machine) }),
    conditions: conditionsOf(facts),
    volumeSnapshotStatuses: volumeSnapshotStatuses(machine, facts.claims),
    desiredGeneration: generation,
    observedGeneration: Number(instance?.metadata.annotations?.[generationAnnotation] ?? generation),
    ...(startFailed && { startFailure: startFailed }),
    ...(requests.length && { stateChangeRequests: requests }),
  }
}
