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
