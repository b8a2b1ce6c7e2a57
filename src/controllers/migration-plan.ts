// What a VirtualMachineInstanceMigration does next. Pure; phases, events and their texts as in KubeVirt's virt-controller
// (pkg/virt-controller/watch/migration, 1.9). There is no target Pod: the node prepares its second QEMU when it is asked.

import type { StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { isMigrationOver } from '../kinds/kubevirt/virtualmachineinstancemigration.ts'
import { type Condition, findCondition } from './conditions.ts'
import { moment } from './moment.ts'
import { isFinished } from './pod-state.ts'

export interface MigrationFacts {
  migration: StoredObject
  instance: StoredObject | undefined
  /** Every other migration that is not over, of whatever instance. */
  others: readonly StoredObject[]
  /** Labels of the instance's node; undefined when it is not known. */
  nodeLabels: Record<string, string> | undefined
  configuration: Record<string, unknown>
  policyName?: string | undefined
  now: number
}

export interface MigrationEvent {
  type: 'Normal' | 'Warning'
  reason: string
  message: string
}

export interface MigrationPlan {
  /** The next status; absent: as it is. */
  status?: Record<string, any>
  /** status.migrationState that the instance is to get. */
  ask?: Record<string, unknown>
  events: MigrationEvent[]
  requeueAfter?: number
}

const parallelPerNode = 2
/** How long a target that fits nowhere is waited for. */
const unschedulableMs = 300_000

const warning = (reason: string, message: string): MigrationEvent => ({ type: 'Warning', reason, message })
const normal = (reason: string, message: string): MigrationEvent => ({ type: 'Normal', reason, message })
const failedMigration = (message: string) => warning('FailedMigration', message)

/** Between the hand-over to the node and the end. */
const isHandedOff = (migration: StoredObject): boolean =>
  ['PreparingTarget', 'TargetReady', 'Running'].includes(migration.status?.phase)

export function planMigration(facts: MigrationFacts): MigrationPlan {
  const { migration, instance } = facts
  const state = stateOf(facts)
  if (isMigrationOver(migration)) return concluded(migration, state)
  if (!instance) return failed(facts, 'Migration failed because vmi does not exist.')
  if (isFinished(instance)) return failed(facts, 'Migration failed vmi shutdown during migration.', state)
  const isDeleted = migration.metadata.deletionTimestamp !== undefined
  if (isDeleted && !state) return failed(facts, 'Migration failed due to being canceled')
  if (isHandedOff(migration) && !state) return failed(facts, lostText(instance))
  if (state?.failed) return failed(facts, 'source node reported migration failed', state)
  if (isDeleted && !state!.abortRequested && !state!.completed) return abort(facts, state!)
  return nextPhase(facts, state)
}

/** status.migrationState of the instance, when it is this migration's. */
function stateOf({ migration, instance }: MigrationFacts): Record<string, any> | undefined {
  const state = instance?.status?.migrationState
  return state?.migrationUid === migration.metadata.uid ? state : undefined
}

const lostText = (instance: StoredObject): string =>
  instance.status?.migrationState
    ? "VMI's migration state was taken over by another migration job during active migration."
    : "VMI's migration state was cleared during the active migration."

function concluded(migration: StoredObject, state: Record<string, any> | undefined): MigrationPlan {
  if (!state?.endTimestamp || migration.status.migrationState?.endTimestamp) return { events: [] }
  return { status: { ...migration.status, migrationState: state }, events: [] }
}

function inPhase(
  { migration, now }: MigrationFacts,
  phase: string,
  more: Record<string, unknown> = {},
): Record<string, any> {
  const { status = {} } = migration
  const times = status.phaseTransitionTimestamps ?? []
  return {
    ...status,
    ...more,
    phase,
    phaseTransitionTimestamps: [...times, { phase, phaseTransitionTimestamp: formatTime(now) }],
  }
}

function withAbort({ migration, now }: MigrationFacts): Condition[] {
  const conditions: Condition[] = migration.status?.conditions ?? []
  if (findCondition(conditions, 'migrationAbortRequested')) return conditions
  const time = formatTime(now)
  return [
    ...conditions,
    { type: 'migrationAbortRequested', status: 'True', lastProbeTime: time, lastTransitionTime: time },
  ]
}

function failed(facts: MigrationFacts, why: string, state?: Record<string, any>): MigrationPlan {
  const conditions = facts.migration.metadata.deletionTimestamp && { conditions: withAbort(facts) }
  const told = state && { migrationState: state }
  return { status: inPhase(facts, 'Failed', { ...conditions, ...told }), events: [failedMigration(why)] }
}

function abort(facts: MigrationFacts, state: Record<string, any>): MigrationPlan {
  return {
    status: { ...facts.migration.status, conditions: withAbort(facts) },
    ask: { ...state, abortRequested: true },
    events: [normal('SuccessfulAbortMigration', 'Migration is ready to be canceled by virt-handler.')],
  }
}

function nextPhase(facts: MigrationFacts, state: Record<string, any> | undefined): MigrationPlan {
  const to = (phase: string, events: MigrationEvent[] = []): MigrationPlan => ({
    status: inPhase(facts, phase, state && { migrationState: state }),
    events,
  })
  switch (facts.migration.status?.phase ?? '') {
    case '':
      return isTaken(facts)
        ? failed(facts, 'VMI is not eligible for migration because another migration job is in progress.')
        : to('Pending')
    case 'Pending':
      return pending(facts, to)
    case 'Scheduling':
      return to('Scheduled')
    case 'Scheduled':
      return state ? to('PreparingTarget') : handOver(facts)
    case 'PreparingTarget':
      return state?.targetNodeAddress ? to('TargetReady') : { events: [] }
    case 'TargetReady':
      return state?.startTimestamp ? to('Running') : { events: [] }
    case 'Running':
      return state?.completed
        ? to('Succeeded', [normal('SuccessfulMigration', 'Source node reported migration succeeded')])
        : { events: [] }
    default:
      return { events: [] }
  }
}

/** Of two that were made at the same time the older one goes on. */
function isTaken({ migration, others }: MigrationFacts): boolean {
  const { creationTimestamp, uid, namespace } = migration.metadata
  return others.some(
    (other) =>
      other.metadata.namespace === namespace &&
      other.spec.vmiName === migration.spec.vmiName &&
      (other.status?.phase !== undefined ||
        `${other.metadata.creationTimestamp} ${other.metadata.uid}` < `${creationTimestamp} ${uid}`),
  )
}

function pending(facts: MigrationFacts, to: (phase: string) => MigrationPlan): MigrationPlan {
  const { migration, instance, others, nodeLabels, now } = facts
  const busy = others.filter((other) => !['', 'Pending'].includes(other.status?.phase ?? ''))
  // Looked at again when one of them is over.
  if (busy.length >= parallelPerNode) return { events: [] }
  const wanted: Record<string, string> = migration.spec.addedNodeSelector ?? {}
  if (Object.entries(wanted).every(([key, value]) => nodeLabels?.[key] === value)) return to('Scheduling')
  const since = moment(migration.status.phaseTransitionTimestamps?.at(-1)?.phaseTransitionTimestamp)
  const left = since + unschedulableMs - now
  const { namespace, name } = instance!.metadata
  if (left <= 0) return failed(facts, 'Migration target pod was removed during active migration.')
  return {
    events: [
      warning(
        'migrationTargetPodUnschedulable',
        `Migration target pod for VMI [${namespace}/${name}] is currently unschedulable.`,
      ),
    ],
    requeueAfter: left,
  }
}

function handOver({ migration, instance, configuration, policyName }: MigrationFacts): MigrationPlan {
  const node = instance!.status?.nodeName
  const { uid } = migration.metadata
  return {
    ask: {
      migrationUid: uid,
      sourceNode: node,
      targetNode: node,
      migrationConfiguration: configuration,
      ...(policyName && { migrationPolicyName: policyName }),
      sourceState: { node, migrationUID: uid },
      targetState: { node, migrationUID: uid },
    },
    events: [normal('SuccessfulHandOver', 'Migration target pod is ready for preparation by virt-handler.')],
  }
}
