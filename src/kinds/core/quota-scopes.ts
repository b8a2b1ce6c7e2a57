// Scopes of quotas: which objects a quota counts (pkg/quota/v1/evaluator/core and pkg/apis/core/validation, 1.36). Pure.

import type { FieldError } from '../../api/errors.ts'
import { invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { isStandardQuotaName } from './quota-names.ts'
import { qosClassOf } from './resource-rules.ts'

interface Requirement {
  scopeName: string
  operator: string
  values?: string[]
}

const podNames = ['pods']
const computeNames = ['cpu', 'memory', 'limits.cpu', 'limits.memory', 'requests.cpu', 'requests.memory']
const podAndCompute = [...podNames, ...computeNames]
const validNames: Record<string, string[]> = {
  Terminating: podAndCompute,
  NotTerminating: podAndCompute,
  BestEffort: podNames,
  NotBestEffort: podAndCompute,
  PriorityClass: podAndCompute,
  CrossNamespacePodAffinity: podAndCompute,
  VolumeAttributesClass: ['persistentvolumeclaims', 'requests.storage'],
}
const onlyExists = ['BestEffort', 'NotBestEffort', 'Terminating', 'NotTerminating', 'CrossNamespacePodAffinity']
const opposites = [
  ['BestEffort', 'NotBestEffort'],
  ['Terminating', 'NotTerminating'],
]

const fits = (scope: string, name: string): boolean =>
  !isStandardQuotaName(name) || (validNames[scope]?.includes(name) ?? true)

export function validateScopes(spec: any, path: string): FieldError[] {
  const scopes: string[] = spec.scopes ?? []
  const errors: FieldError[] = []
  const say = (text: string) => errors.push(invalidValue(`${path}.scopes`, scopes, text))
  for (const scope of scopes) {
    if (!validNames[scope]) say('unsupported scope')
    for (const name of Object.keys(spec.hard ?? {}).sort())
      if (!fits(scope, name)) say('unsupported scope applied to resource')
  }
  for (const pair of opposites) if (pair.every((scope) => scopes.includes(scope))) say('conflicting scopes')
  return errors
}

export function validateScopeSelector(spec: any, path: string): FieldError[] {
  const requirements: Requirement[] = spec.scopeSelector?.matchExpressions ?? []
  const at = `${path}.scopeSelector.matchExpressions`
  const errors: FieldError[] = []
  for (const requirement of requirements) {
    const { scopeName, operator, values = [] } = requirement
    if (!validNames[scopeName]) errors.push(invalidValue(`${at}.scopeName`, scopeName, 'unsupported scope'))
    for (const name of Object.keys(spec.hard ?? {}).sort())
      if (!fits(scopeName, name))
        errors.push(invalidValue(at, spec.scopeSelector, 'unsupported scope applied to resource'))
    if (onlyExists.includes(scopeName) && operator !== 'Exists')
      errors.push(
        invalidValue(
          `${at}.operator`,
          operator,
          "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
        ),
      )
    errors.push(...validateValues(operator, values, at))
  }
  const named = requirements.map(({ scopeName }) => scopeName)
  for (const pair of opposites)
    if (pair.every((scope) => named.includes(scope)))
      errors.push(invalidValue(at, spec.scopes ?? null, 'conflicting scopes'))
  return errors
}

function validateValues(operator: string, values: string[], at: string): FieldError[] {
  if (operator === 'In' || operator === 'NotIn')
    return values.length > 0
      ? []
      : [
          requiredValue(
            `${at}.values`,
            "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
          ),
        ]
  if (operator === 'Exists' || operator === 'DoesNotExist')
    return values.length === 0
      ? []
      : [
          invalidValue(
            `${at}.values`,
            values,
            "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
          ),
        ]
  return [invalidValue(`${at}.operator`, operator, 'not a valid selector operator')]
}

const requirementsOf = (spec: any): Requirement[] => [
  ...(spec?.scopes ?? []).map((scopeName: string) => ({ scopeName, operator: 'Exists' })),
  ...(spec?.scopeSelector?.matchExpressions ?? []),
]

export const isTerminating = (pod: any): boolean => (pod.spec?.activeDeadlineSeconds ?? -1) >= 0

/** True when the object is one of those that the quota counts. Other resources than these two match no scope. */
export function inScopes(quotaSpec: any, groupResource: string, object: any): boolean {
  return requirementsOf(quotaSpec).every((requirement) => {
    if (groupResource === 'pods') return podInScope(requirement, object)
    if (groupResource === 'persistentvolumeclaims') return claimInScope(requirement, object)
    return false
  })
}

function podInScope(requirement: Requirement, pod: any): boolean {
  const { priorityClassName } = pod.spec ?? {}
  switch (requirement.scopeName) {
    case 'Terminating':
      return isTerminating(pod)
    case 'NotTerminating':
      return !isTerminating(pod)
    case 'BestEffort':
      return qosClassOf(pod.spec) === 'BestEffort'
    case 'NotBestEffort':
      return qosClassOf(pod.spec) !== 'BestEffort'
    case 'PriorityClass':
      return namedAs(requirement, priorityClassName ? [priorityClassName] : [])
    case 'CrossNamespacePodAffinity':
      return reachesOtherNamespaces(pod.spec?.affinity)
    default:
      return false
  }
}

function claimInScope(requirement: Requirement, claim: any): boolean {
  if (requirement.scopeName !== 'VolumeAttributesClass') return false
  const { currentVolumeAttributesClassName, modifyVolumeStatus } = claim.status ?? {}
  const names = [
    claim.spec?.volumeAttributesClassName,
    currentVolumeAttributesClassName,
    modifyVolumeStatus?.targetVolumeAttributesClassName,
  ]
  return namedAs(requirement, names.filter(Boolean))
}

function namedAs({ operator, values = [] }: Requirement, names: string[]): boolean {
  switch (operator) {
    case 'In':
      return names.some((name) => values.includes(name))
    case 'NotIn':
      return !names.some((name) => values.includes(name))
    case 'DoesNotExist':
      return names.length === 0
    default:
      return names.length > 0
  }
}

function reachesOtherNamespaces(affinity: any): boolean {
  return [affinity?.podAffinity, affinity?.podAntiAffinity].some((one) => {
    const required: any[] = one?.requiredDuringSchedulingIgnoredDuringExecution ?? []
    const preferred: any[] = one?.preferredDuringSchedulingIgnoredDuringExecution ?? []
    return [...required, ...preferred.map((term) => term.podAffinityTerm)].some(
      (term) => term?.namespaces?.length > 0 || term?.namespaceSelector !== undefined,
    )
  })
}
