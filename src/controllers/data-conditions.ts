// Conditions of CDI's objects: they have a heartbeat beside the time of the last transition. Pure.

export interface StampedCondition {
  type: string
  status: 'True' | 'False' | 'Unknown'
  reason?: string
  message?: string
  lastTransitionTime?: string
  lastHeartbeatTime?: string
}

/** The condition as it was when it says the same, else with new times. */
export function stamped(before: StampedCondition[], next: StampedCondition, time: string): StampedCondition {
  const old = before.find(({ type }) => type === next.type)
  if (!old || old.status !== next.status) return { ...next, lastTransitionTime: time, lastHeartbeatTime: time }
  const isSame = (old.message ?? '') === (next.message ?? '') && (old.reason ?? '') === (next.reason ?? '')
  if (isSame) return old
  return {
    ...next,
    lastHeartbeatTime: time,
    ...(old.lastTransitionTime && { lastTransitionTime: old.lastTransitionTime }),
  }
}
