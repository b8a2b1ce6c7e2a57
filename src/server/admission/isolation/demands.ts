// What a namespace's labels and the ClusterIsolationPolicies ask of a Pod, and which of them come first. Pure.

import type { FieldError } from '../../../api/errors.ts'
import type { UserInfo } from '../../../api/exchange.ts'
import type { StoredObject } from '../../../api/meta.ts'
import { type LabelMatcher, selectorMatcher } from '../../../api/selector.ts'
import { notSupported } from '../../../api/walk/rules.ts'
import { normalizeImageName } from '../../../kinds/core/image-name.ts'
import { matchesAny } from '../../../kinds/isolation/glob.ts'
import { isBelow, isLevel, type Level, labelPrefix, levels } from '../../../kinds/isolation/levels.ts'

export type Mode = 'enforce' | 'warn' | 'audit'
const modes: Mode[] = ['enforce', 'warn', 'audit']

export interface Demand {
  mode: Mode
  minimum: Level
  /** What demands it, for a person. */
  by: string
  /** It depends on who asks, so it must be met where they ask. */
  ofUser: boolean
}

export interface Choice {
  runtimeClassName: string
  by: string
  ofUser: boolean
}

export interface Demands {
  all: Demand[]
  /** The first rule that chooses. */
  choice?: Choice
  /** What a Pod gets that says nothing, by its namespace. */
  preset?: Level
}

export interface Subject {
  namespace: string
  labels: Record<string, string> | undefined
  images: string[]
  serviceAccount: string
  user: UserInfo
}

/** One rule with what its policy says of it. */
export interface Rule {
  by: string
  mode: Mode
  match: Record<string, any>
  selector: LabelMatcher | undefined
  minimum?: Level
  runtimeClassName?: string
}

/** Those of all policies, in their order: by priority, then name, then place. */
export function rulesOf(policies: readonly StoredObject[]): Rule[] {
  const priority = ({ spec }: StoredObject): number => spec.priority ?? 0
  const ordered = [...policies].sort(
    (a, b) => priority(b) - priority(a) || (a.metadata.name < b.metadata.name ? -1 : 1),
  )
  return ordered.flatMap(({ metadata, spec }) =>
    (spec.rules as any[]).map(({ name, match = {}, minimum, runtimeClassName }) => ({
      by: `rule "${name}" of ClusterIsolationPolicy "${metadata.name}"`,
      mode: String(spec.mode ?? 'Enforce').toLowerCase() as Mode,
      match,
      selector: match.namespaceSelector && selectorMatcher(match.namespaceSelector),
      minimum,
      runtimeClassName,
    })),
  )
}

export function demandsOn(subject: Subject, rules: readonly Rule[]): Demands {
  const { demands, preset } = namespaceDemands(subject.namespace, subject.labels)
  const found: Demands = { all: demands, ...(preset && { preset }) }
  for (const rule of rules) {
    if (!concerns(rule, subject)) continue
    const { by, mode, minimum, runtimeClassName } = rule
    const ofUser = Boolean(rule.match.users?.length || rule.match.groups?.length)
    if (minimum) found.all.push({ mode, minimum, by, ofUser })
    if (runtimeClassName && mode === 'enforce') found.choice ??= { runtimeClassName, by, ofUser }
  }
  return found
}

/** The strictest; of equals the first. */
export function strictest(demands: readonly Demand[]): Demand | undefined {
  return demands.reduce<Demand | undefined>(
    (found, one) => (!found || isBelow(found.minimum, one.minimum) ? one : found),
    undefined,
  )
}

function namespaceDemands(namespace: string, labels: Subject['labels']): { demands: Demand[]; preset?: Level } {
  const demands = modes.flatMap((mode): Demand[] => {
    const value = labels?.[labelPrefix + mode]
    if (value === undefined) return []
    // One that makes no sense is refused where it is written; where it stands all the same, it asks for the most.
    const minimum = isLevel(value) ? value : mode === 'enforce' ? 'vm' : 'container'
    return [{ mode, minimum, by: `label ${labelPrefix}${mode} of namespace "${namespace}"`, ofUser: false }]
  })
  const preset = labels?.[`${labelPrefix}default`]
  return { demands, ...(isLevel(preset) && { preset }) }
}

/** What is wrong with the labels of a namespace. */
export function labelErrors(labels: Record<string, string> = {}): FieldError[] {
  return [...modes, 'default'].flatMap((mode) => {
    const value = labels[labelPrefix + mode]
    return value === undefined || isLevel(value)
      ? []
      : [notSupported(`metadata.labels[${labelPrefix}${mode}]`, value, levels)]
  })
}

/** Labels that look like ours and mean nothing. */
export const strangeLabels = (labels: Record<string, string> = {}): string[] =>
  Object.keys(labels).filter(
    (key) => key.startsWith(labelPrefix) && ![...modes, 'default'].includes(key.slice(labelPrefix.length)),
  )

function concerns({ match, selector }: Rule, { images, serviceAccount, namespace, labels, user }: Subject): boolean {
  const { images: wanted, exceptImages: except, serviceAccounts, users, groups } = match
  if (selector && !selector.matches(labels ?? {})) return false
  if (users?.length && !matchesAny(users, user.name)) return false
  if (groups?.length && !user.groups.some((group) => matchesAny(groups, group))) return false
  if (serviceAccounts?.length && !serviceAccounts.some((one: string) => isAccount(one, namespace, serviceAccount)))
    return false
  if (!wanted?.length && !except?.length) return true
  return images.some((image) => (!wanted?.length || isImage(wanted, image)) && !(except && isImage(except, image)))
}

const isAccount = (pattern: string, namespace: string, name: string): boolean =>
  matchesAny([pattern], pattern.includes('/') ? `${namespace}/${name}` : name)

/** As it is written, in full, and in full without its tag or digest. */
function isImage(patterns: string[], image: string): boolean {
  const full = normalizeImageName(image)
  return [image, full, full.replace(/@.*$/, '').replace(/:[^/:]*$/, '')].some((name) => matchesAny(patterns, name))
}
