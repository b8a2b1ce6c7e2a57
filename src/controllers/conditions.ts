// Conditions of a status: set, removed and compared as upstream's controllers do. Pure; lists are never changed in place.

export type ConditionStatus = 'True' | 'False' | 'Unknown'

export interface Condition {
  type: string
  status: ConditionStatus
  reason?: string
  message?: string
  lastTransitionTime?: string
  lastUpdateTime?: string
  lastProbeTime?: string | null
  [field: string]: unknown
}

export const findCondition = (conditions: Condition[] | undefined, type: string): Condition | undefined =>
  conditions?.find((condition) => condition.type === type)

export const isTrue = (conditions: Condition[] | undefined, type: string): boolean =>
  findCondition(conditions, type)?.status === 'True'

export const withoutCondition = (conditions: Condition[] = [], type: string): Condition[] =>
  conditions.filter((condition) => condition.type !== type)

/** The condition in its place or at the end; lastTransitionTime stays while the status stays. */
export function withCondition(conditions: Condition[] = [], condition: Condition, now: string): Condition[] {
  const old = findCondition(conditions, condition.type)
  const lastTransitionTime = old?.status === condition.status ? (old.lastTransitionTime ?? now) : now
  const set = { ...condition, lastTransitionTime }
  return old ? conditions.map((other) => (other === old ? set : other)) : [...conditions, set]
}

/**
 * ReplicaFailure. The first failure stays until it is over: another text each time (it may name another object) would be a
 * new status, and so a new try, each time.
 */
export function withReplicaFailure(
  conditions: Condition[] | undefined,
  failure: Pick<Condition, 'reason' | 'message' | 'lastProbeTime'> | undefined,
  now: string,
): Condition[] {
  if (!failure) return withoutCondition(conditions, 'ReplicaFailure')
  if (findCondition(conditions, 'ReplicaFailure')) return conditions!
  return withCondition(conditions, { type: 'ReplicaFailure', status: 'True', ...failure }, now)
}
