// Conditions of Gateway API objects: a new one keeps the time of the old while its status is the same, and conditions of
// others stay. Pure.

export interface Condition {
  type: string
  status: 'True' | 'False' | 'Unknown'
  reason: string
  message: string
}

export interface StatedCondition extends Condition {
  observedGeneration?: number
  lastTransitionTime: string
}

export const yes = (type: string, reason: string, message = ''): Condition => ({
  type,
  status: 'True',
  reason,
  message,
})
export const no = (type: string, reason: string, message = ''): Condition => ({
  type,
  status: 'False',
  reason,
  message,
})

export function stated(
  before: readonly StatedCondition[] = [],
  wanted: readonly Condition[],
  generation: number | undefined,
  now: string,
): StatedCondition[] {
  const made = wanted.map((condition) => {
    const known = before.find(({ type }) => type === condition.type)
    return {
      ...condition,
      ...(generation !== undefined && { observedGeneration: generation }),
      lastTransitionTime: known?.status === condition.status ? known.lastTransitionTime : now,
    }
  })
  return [...made, ...before.filter(({ type }) => !wanted.some((one) => one.type === type))]
}
