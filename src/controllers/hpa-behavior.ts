// How fast a HorizontalPodAutoscaler may follow its metrics: stabilization windows and policies. Pure but for the history
// that it is given; horizontal.go of pkg/controller/podautoscaler (1.36).

import { scaleDownRules, scaleUpRules } from '../kinds/autoscaling/hpa-defaults.ts'

/** For scaling down, when the rules say nothing. */
const standardWindowSeconds = 300
/** No policy looks back further. */
const longestMs = 3_600_000

export interface Change {
  at: number
  by: number
}

/** What was recommended and done, per autoscaler. */
export interface ScaleHistory {
  recommended: { at: number; replicas: number }[]
  up: Change[]
  down: Change[]
}

export const newHistory = (): ScaleHistory => ({ recommended: [], up: [], down: [] })

export interface Said {
  status: boolean
  reason: string
  message: string
}

export interface Limited {
  replicas: number
  /** For AbleToScale. */
  able: Said
  /** For ScalingLimited. */
  limited: Said
}

export const rulesOf = (spec: any): { up: any; down: any } => ({
  up: scaleUpRules(spec.behavior?.scaleUp),
  down: { stabilizationWindowSeconds: standardWindowSeconds, ...scaleDownRules(spec.behavior?.scaleDown) },
})

export function limitChange(spec: any, history: ScaleHistory, current: number, desired: number, now: number): Limited {
  const { up, down } = rulesOf(spec)
  const stable = stabilized(history, current, desired, up, down, now)
  history.recommended = history.recommended.filter(({ at }) => now - at < longestMs)
  history.recommended.push({ at: now, replicas: desired })
  const rated = rateLimited(spec, history, current, stable, now)
  return {
    replicas: rated.replicas,
    able:
      stable === desired
        ? { status: true, reason: 'ReadyForNewScale', message: 'recommended size matches current size' }
        : stabilizedText(desired >= current),
    limited: { status: rated.replicas !== stable, reason: rated.reason, message: rated.message },
  }
}

const stabilizedText = (isUp: boolean): Said =>
  isUp
    ? {
        status: true,
        reason: 'ScaleUpStabilized',
        message: 'recent recommendations were lower than current one, applying the lowest recent recommendation',
      }
    : {
        status: true,
        reason: 'ScaleDownStabilized',
        message: 'recent recommendations were higher than current one, applying the highest recent recommendation',
      }

function stabilized(
  { recommended }: ScaleHistory,
  current: number,
  desired: number,
  up: any,
  down: any,
  now: number,
): number {
  const within = (seconds: number) =>
    recommended.filter(({ at }) => at > now - seconds * 1000).map(({ replicas }) => replicas)
  const lowest = Math.min(desired, ...within(up.stabilizationWindowSeconds))
  const highest = Math.max(desired, ...within(down.stabilizationWindowSeconds))
  return Math.min(Math.max(current, lowest), highest)
}

interface Rated {
  replicas: number
  reason: string
  message: string
}

function rateLimited(spec: any, history: ScaleHistory, current: number, desired: number, now: number): Rated {
  const { up, down } = rulesOf(spec)
  const { minReplicas = 1, maxReplicas } = spec
  if (desired > current) {
    const limit = Math.max(policyLimit(up, history, current, 1, now), current)
    const allowed = Math.min(maxReplicas, limit)
    if (desired > allowed)
      return limit < maxReplicas
        ? said(allowed, 'ScaleUpLimit', 'the desired replica count is increasing faster than the maximum scale rate')
        : said(allowed, 'TooManyReplicas', 'the desired replica count is more than the maximum replica count')
  } else if (desired < current) {
    const limit = Math.min(policyLimit(down, history, current, -1, now), current)
    const allowed = Math.max(minReplicas, limit)
    if (desired < allowed)
      return limit > minReplicas
        ? said(allowed, 'ScaleDownLimit', 'the desired replica count is decreasing faster than the maximum scale rate')
        : said(allowed, 'TooFewReplicas', 'the desired replica count is less than the minimum replica count')
  }
  return said(desired, 'DesiredWithinRange', 'the desired count is within the acceptable range')
}

const said = (replicas: number, reason: string, message: string): Rated => ({ replicas, reason, message })

/** The size that the policies allow: the largest change, or the smallest where the rules say Min. */
function policyLimit(rules: any, { up, down }: ScaleHistory, current: number, sign: 1 | -1, now: number): number {
  if (rules.selectPolicy === 'Disabled') return current
  const changed = (changes: Change[], seconds: number) =>
    changes.filter(({ at }) => at > now - seconds * 1000).reduce((total, { by }) => total + by, 0)
  const limits = rules.policies.map(({ type, value, periodSeconds }: any) => {
    const start = current - changed(up, periodSeconds) + changed(down, periodSeconds)
    if (type === 'Pods') return start + sign * value
    const size = start * (1 + (sign * value) / 100)
    return sign > 0 ? Math.ceil(size) : Math.trunc(size)
  })
  const isWide = rules.selectPolicy !== 'Min'
  return isWide === sign > 0 ? Math.max(...limits) : Math.min(...limits)
}

export function noteChange(history: ScaleHistory, from: number, to: number, now: number): void {
  const isRecent = ({ at }: Change) => now - at < longestMs
  history.up = history.up.filter(isRecent)
  history.down = history.down.filter(isRecent)
  if (to > from) history.up.push({ at: now, by: to - from })
  else history.down.push({ at: now, by: from - to })
}
