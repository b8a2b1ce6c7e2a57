// The status of a VirtualMachine, made from its instance and its claims. Pure; fields, reasons and the order of the
// printable states as in KubeVirt's virt-controller (1.8).

import type { StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { type Condition, findCondition, isTrue, withCondition, withoutCondition } from './conditions.ts'
import {
  generationAnnotation,
  isSaved,
  isStartExpected,
  needsRestart,
  openRequests,
  type StateChange,
  strategyOf,
} from './machine-plan.ts'
import { moment } from './moment.ts'
import { isFinished, isReady } from './pod-state.ts'

const firstBackoffMs = 10_000
const longestBackoffMs = 300_000
/** An instance that failed before it ran this long counts as one that did not start. */
const shortestRunMs = 10_000

export interface MachineFacts {
  machine: StoredObject
  instance: StoredObject | undefined
  /** Claims that the volumes name, undefined where there is none of that name. */
  claims: (StoredObject | undefined)[]
  /** What the last attempt to create or delete the instance ran into. */
  failure?: { reason: string; message: string } | undefined
  /** To be added to the requests, after the stop of a failed instance. */
  addStart?: boolean
  now: number
}

interface StartFailure {
  consecutiveFailCount: number
  lastFailedVMIUID: string
  retryAfterTimestamp: string
}

/** 10 s, 40 s, 90 s … 5 min: ten seconds times the square of the failures in a row. */
export const startBackoff = (failures: number): number => Math.min(failures ** 2 * firstBackoffMs, longestBackoffMs)

function ranWell(instance: StoredObject, now: number): boolean {
  const transitions: any[] = instance.status?.phaseTransitionTimestamps ?? []
  const at = (phase: string) => moment(transitions.find((each) => each.phase === phase)?.phaseTransitionTimestamp)
  const started = at('Running')
  if (Number.isNaN(started)) return false
  if (instance.status?.phase === 'Succeeded') return true
  const failed = at('Failed')
  return (Number.isNaN(failed) ? now : failed) - started >= shortestRunMs
}

export function startFailure({ machine, instance, now }: MachineFacts): StartFailure | undefined {
  const known: StartFailure | undefined = machine.status?.startFailure
  const strategy = strategyOf(machine)
  if (strategy === 'Halted' || strategy === 'Manual') return undefined
  if (instance && ranWell(instance, now)) return undefined
  if (!instance || !isFinished(instance) || known?.lastFailedVMIUID === instance.metadata.uid) return known
  const consecutiveFailCount = (known?.consecutiveFailCount ?? 0) + 1
  return {
    consecutiveFailCount,
    lastFailedVMIUID: instance.metadata.uid,
    retryAfterTimestamp: formatTime(now + startBackoff(consecutiveFailCount)),
  }
}

/** The first of these that holds. */
export function printableStatus(facts: MachineFacts, failure: StartFailure | undefined): string {
  const { machine, instance, claims } = facts
  if (machine.metadata.deletionTimestamp) return 'Terminating'
  const isOver = instance !== undefined && isFinished(instance)
  if (instance?.metadata.deletionTimestamp && !isOver) return 'Stopping'
  if (instance && isTrue(instance.status?.conditions, 'Paused')) return 'Paused'
  if (instance?.status?.phase === 'Running') return 'Running'
  const isStarting = instance ? !isOver : isStartExpected(machine) && !failure
  if (isStarting) return startingStatus(instance, claims)
  if (failure && isStartExpected(machine)) return 'CrashLoopBackOff'
  if (isSaved(machine)) return 'Hibernated'
  return 'Stopped'
}

function startingStatus(instance: StoredObject | undefined, claims: (StoredObject | undefined)[]): string {
  if (claims.includes(undefined)) return 'ErrorPvcNotFound'
  const problem = findCondition(instance?.status?.conditions, 'Synchronized')
  const reason = problem?.status === 'False' ? problem.reason : undefined
  if (reason === 'ErrImagePull' || reason === 'ImagePullBackOff') return reason
  const scheduled = findCondition(instance?.status?.conditions, 'PodScheduled')
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable') return 'ErrorUnschedulable'
  if (claims.some((claim) => claim?.status?.phase !== 'Bound')) return 'WaitingForVolumeBinding'
  return 'Starting'
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
  return instance && needsRestart(machine, instance)
    ? withCondition(
        conditions,
        {
          type: 'RestartRequired',
          status: 'True',
          message: 'a non-live-updatable field was changed in the template spec',
          lastProbeTime: null,
        },
        time,
      )
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
    runStrategy: strategyOf(machine),
    conditions: conditionsOf(facts),
    desiredGeneration: generation,
    observedGeneration: Number(instance?.metadata.annotations?.[generationAnnotation] ?? generation),
    ...(startFailed && { startFailure: startFailed }),
    ...(requests.length && { stateChangeRequests: requests }),
  }
}
