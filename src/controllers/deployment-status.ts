// The status of a Deployment: counts, Available, Progressing. Pure; reasons and texts of
// pkg/controller/deployment/{progress,sync}.go (1.32).

import type { StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { type Condition, findCondition, withoutCondition } from './conditions.ts'
import { maxUnavailable, replicasOf } from './deployment-plan.ts'
import { moment } from './moment.ts'

export interface Sets {
  current: StoredObject | undefined
  old: StoredObject[]
}

interface Counts {
  replicas: number
  updatedReplicas: number
  readyReplicas: number
  availableReplicas: number
}

const sum = (sets: StoredObject[], field: string): number =>
  sets.reduce((total, set) => total + (set.status?.[field] ?? 0), 0)

/** As upstream, a condition that says nothing new stays as it is, times included. */
export function setCondition(
  conditions: Condition[] = [],
  condition: Pick<Condition, 'type' | 'status' | 'reason' | 'message'>,
  now: number,
): Condition[] {
  const old = findCondition(conditions, condition.type)
  if (old?.status === condition.status && old.reason === condition.reason) return conditions
  const time = formatTime(now)
  const lastTransitionTime = old?.status === condition.status ? (old.lastTransitionTime ?? time) : time
  return [
    ...withoutCondition(conditions, condition.type),
    { ...condition, lastUpdateTime: time, lastTransitionTime } as Condition,
  ]
}

export const hasDeadline = (deployment: StoredObject): boolean => {
  const deadline = deployment.spec.progressDeadlineSeconds
  return deadline !== undefined && deadline !== null && deadline !== 2147483647
}

/** Counts and the Available condition. */
export function countedStatus(deployment: StoredObject, sets: Sets, now: number): Record<string, any> {
  const all = sets.current ? [...sets.old, sets.current] : sets.old
  const available = sum(all, 'availableReplicas')
  const wanted = all.reduce((total, set) => total + replicasOf(set), 0)
  const enough = available >= replicasOf(deployment) - maxUnavailable(deployment)
  const condition: Condition = enough
    ? {
        type: 'Available',
        status: 'True',
        reason: 'MinimumReplicasAvailable',
        message: 'Deployment has minimum availability.',
      }
    : {
        type: 'Available',
        status: 'False',
        reason: 'MinimumReplicasUnavailable',
        message: 'Deployment does not have minimum availability.',
      }
  return {
    ...deployment.status,
    observedGeneration: deployment.metadata.generation,
    replicas: sum(all, 'replicas'),
    updatedReplicas: sets.current?.status?.replicas ?? 0,
    readyReplicas: sum(all, 'readyReplicas'),
    availableReplicas: available,
    unavailableReplicas: Math.max(wanted - available, 0),
    terminatingReplicas: sum(all, 'terminatingReplicas'),
    conditions: setCondition(deployment.status?.conditions, condition, now),
  }
}

export function isComplete(deployment: StoredObject, status: Record<string, any>): boolean {
  const desired = replicasOf(deployment)
  return (
    status.updatedReplicas === desired &&
    status.replicas === desired &&
    status.availableReplicas === desired &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  )
}

const countsOf = (status: any): Counts => ({
  replicas: status?.replicas ?? 0,
  updatedReplicas: status?.updatedReplicas ?? 0,
  readyReplicas: status?.readyReplicas ?? 0,
  availableReplicas: status?.availableReplicas ?? 0,
})

function hasProgressed(before: Counts, after: Counts): boolean {
  return (
    after.updatedReplicas > before.updatedReplicas ||
    after.replicas - after.updatedReplicas < before.replicas - before.updatedReplicas ||
    after.readyReplicas > before.readyReplicas ||
    after.availableReplicas > before.availableReplicas
  )
}

function timedOut(deployment: StoredObject, condition: Condition | undefined, now: number): boolean {
  if (!condition || condition.reason === 'NewReplicaSetAvailable') return false
  if (condition.reason === 'ProgressDeadlineExceeded') return true
  return moment(condition.lastUpdateTime) + deployment.spec.progressDeadlineSeconds * 1000 < now
}

/** The status in the middle of a rollout: counts, Available, Progressing and ReplicaFailure. */
export function rolloutStatus(deployment: StoredObject, sets: Sets, now: number): Record<string, any> {
  const status = countedStatus(deployment, sets, now)
  status.conditions = withFailure(withProgress(deployment, sets, status, now), sets)
  return status
}

function withProgress(deployment: StoredObject, sets: Sets, status: Record<string, any>, now: number): Condition[] {
  if (!hasDeadline(deployment)) return withoutCondition(status.conditions, 'Progressing')
  const { conditions } = status
  const current = findCondition(deployment.status?.conditions, 'Progressing')
  const wasComplete = status.replicas === status.updatedReplicas && current?.reason === 'NewReplicaSetAvailable'
  if (wasComplete) return conditions
  const subject = sets.current
    ? `ReplicaSet "${sets.current.metadata.name}"`
    : `Deployment "${deployment.metadata.name}"`
  const progressing = (status: 'True' | 'False', reason: string, text: string) => ({
    type: 'Progressing',
    status,
    reason,
    message: `${subject} ${text}`,
  })
  if (isComplete(deployment, status))
    return setCondition(conditions, progressing('True', 'NewReplicaSetAvailable', 'has successfully progressed.'), now)
  if (hasProgressed(countsOf(deployment.status), countsOf(status))) {
    // Each step counts anew for the deadline, so the time is written even if the reason stays.
    const condition = progressing('True', 'ReplicaSetUpdated', 'is progressing.')
    const fresh = setCondition(withoutCondition(conditions, 'Progressing'), condition, now)
    if (current?.status !== 'True') return fresh
    const { lastTransitionTime } = current
    return fresh.map((each) => (each.type === 'Progressing' ? { ...each, lastTransitionTime } : each) as Condition)
  }
  if (timedOut(deployment, current, now))
    return setCondition(conditions, progressing('False', 'ProgressDeadlineExceeded', 'has timed out progressing.'), now)
  return conditions
}

/** A ReplicaSet's failure to make Pods is the Deployment's too; the current one's counts first. */
function withFailure(conditions: Condition[], sets: Sets): Condition[] {
  const rest = withoutCondition(conditions, 'ReplicaFailure')
  for (const set of sets.current ? [sets.current, ...sets.old] : sets.old) {
    const failure = findCondition(set.status?.conditions, 'ReplicaFailure')
    if (!failure) continue
    const { type, status, reason, message, lastTransitionTime } = failure
    return [
      ...rest,
      { type, status, reason, message, lastTransitionTime, lastUpdateTime: lastTransitionTime } as Condition,
    ]
  }
  return rest
}

/** When to look again for a rollout that may get stuck; undefined when it cannot. */
export function deadlineWait(deployment: StoredObject, status: Record<string, any>, now: number): number | undefined {
  const condition = findCondition(status.conditions, 'Progressing')
  if (!hasDeadline(deployment) || !condition || isComplete(deployment, status)) return undefined
  if (condition.reason === 'NewReplicaSetAvailable' || condition.reason === 'ProgressDeadlineExceeded') return undefined
  const end = moment(condition.lastUpdateTime) + deployment.spec.progressDeadlineSeconds * 1000
  return Math.max(end - now, 0) + 1000
}

/** The Progressing condition while a Deployment is paused, and when it goes on; undefined when nothing is to be said. */
export function pauseCondition(
  deployment: StoredObject,
): Pick<Condition, 'type' | 'status' | 'reason' | 'message'> | undefined {
  if (!hasDeadline(deployment)) return undefined
  const reason = findCondition(deployment.status?.conditions, 'Progressing')?.reason
  if (reason === 'ProgressDeadlineExceeded') return undefined
  const isPaused = Boolean(deployment.spec.paused)
  if (isPaused === (reason === 'DeploymentPaused')) return undefined
  return {
    type: 'Progressing',
    status: 'Unknown',
    reason: isPaused ? 'DeploymentPaused' : 'DeploymentResumed',
    message: isPaused ? 'Deployment is paused' : 'Deployment is resumed',
  }
}
