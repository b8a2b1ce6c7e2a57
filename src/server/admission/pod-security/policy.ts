// Which standard a namespace asks for by its labels, and what of a Pod goes against it (pod-security-admission/api, 1.36).

import type { FieldError } from '../../../api/errors.ts'
import { invalidValue } from '../../../api/walk/rules.ts'
import { baselineChecks } from './baseline.ts'
import type { PodLike, Violation } from './check.ts'
import { restrictedChecks } from './restricted.ts'

export type Level = 'privileged' | 'baseline' | 'restricted'

export interface Standard {
  level: Level
  /** 'latest' or 'v1.30' */
  version: string
}

export interface Policy {
  enforce: Standard
  audit: Standard
  warn: Standard
}

const levels: Level[] = ['privileged', 'baseline', 'restricted']
const prefix = 'pod-security.kubernetes.io/'
const anything: Standard = { level: 'privileged', version: 'latest' }

export const isStricter = (a: Level, b: Level): boolean => levels.indexOf(a) > levels.indexOf(b)

export const standardText = ({ level, version }: Standard): string => `${level}:${version}`

export const sameStandard = (a: Standard, b: Standard): boolean => standardText(a) === standardText(b)

/** Labels that make no sense count as the strictest standard when it is enforced, and as none when it is only told. */
export function policyOf(labels: Record<string, string> | undefined): { policy: Policy; errors: FieldError[] } {
  const errors: FieldError[] = []
  const wrong = (label: string, value: string, text: string) =>
    errors.push(invalidValue(`metadata.labels[${label}]`, value, text))
  const read = (mode: keyof Policy): Standard => {
    const level = labels?.[prefix + mode]
    const version = labels?.[`${prefix}${mode}-version`]
    const standard: Standard = { ...anything }
    if (level !== undefined) {
      if (levels.includes(level as Level)) standard.level = level as Level
      else {
        wrong(prefix + mode, level, `must be one of ${levels.join(', ')}`)
        standard.level = mode === 'enforce' ? 'restricted' : 'privileged'
      }
    }
    if (version === undefined) return standard
    if (/^(latest|v1\.(0|[1-9]\d*))$/.test(version)) standard.version = version
    else wrong(`${prefix}${mode}-version`, version, 'must be "latest" or "v1.x"')
    return standard
  }
  const policy: Policy = { enforce: read('enforce'), audit: read('audit'), warn: read('warn') }
  const enforced = labels?.[`${prefix}enforce`]
  // Who is refused tomorrow for a template is told today.
  if (enforced !== undefined && levels.includes(enforced as Level) && labels?.[`${prefix}warn`] === undefined) {
    if (isStricter(policy.enforce.level, policy.warn.level)) {
      policy.warn.level = policy.enforce.level
      if (labels?.[`${prefix}warn-version`] === undefined) policy.warn.version = policy.enforce.version
    }
  }
  return { policy, errors }
}

const minorOf = (version: string): number =>
  version === 'latest' ? Number.POSITIVE_INFINITY : Number(version.slice(3))

export function violationsOf(pod: PodLike, { level, version }: Standard): Violation[] {
  if (level === 'privileged') return []
  const minor = minorOf(version)
  const restricted = level === 'restricted' ? restrictedChecks.filter(({ since }) => since <= minor) : []
  const replaced = new Set(restricted.map(({ replaces }) => replaces))
  const baseline = baselineChecks.filter(({ id, since }) => since <= minor && !replaced.has(id))
  return [...baseline, ...restricted].flatMap(({ check }) => check(pod, minor) ?? [])
}

export const detailsOf = (violations: readonly Violation[]): string =>
  violations.map(({ reason, detail }) => (detail ? `${reason} (${detail})` : reason)).join(', ')

export const reasonsOf = (violations: readonly Violation[]): string => violations.map(({ reason }) => reason).join(', ')
