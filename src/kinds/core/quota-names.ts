// Names of resources that quotas and limits speak of (pkg/apis/core/helper and validation, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { qualifiedNameProblems } from '../../api/names.ts'
import { tryParseQuantity } from '../../api/quantity.ts'
import { invalidValue } from '../../api/walk/rules.ts'

const compute = ['cpu', 'memory', 'ephemeral-storage']
const counted = [
  ...['pods', 'resourcequotas', 'services', 'replicationcontrollers', 'secrets', 'configmaps'],
  ...['persistentvolumeclaims', 'services.nodeports', 'services.loadbalancers'],
]
const forQuota = new Set([
  ...compute,
  ...compute.map((name) => `requests.${name}`),
  ...compute.map((name) => `limits.${name}`),
  'requests.storage',
  ...counted,
])

const isHugePages = (name: string): boolean => name.startsWith('hugepages-')
const isQuotaHugePages = (name: string): boolean => isHugePages(name) || name.startsWith('requests.hugepages-')

export const isStandardQuotaName = (name: string): boolean => forQuota.has(name) || isQuotaHugePages(name)

/** Without a domain, or of Kubernetes itself. */
export const isNativeName = (name: string): boolean => !name.includes('/') || name.includes('kubernetes.io/')

const isExtendedName = (name: string): boolean =>
  !isNativeName(name) && !name.startsWith('requests.') && qualifiedNameProblems(`requests.${name}`).length === 0

export const isOvercommitAllowed = (name: string): boolean => isNativeName(name) && !isHugePages(name)

/** @returns the problems of a name that has to be one of `standard` or have a domain. */
function nameProblems(name: string, field: string, isStandard: (name: string) => boolean, text: string): FieldError[] {
  const problems = qualifiedNameProblems(name)
  if (problems.length > 0) return problems.map((problem) => invalidValue(field, name, problem))
  if (name.includes('/') || isStandard(name)) return []
  return [invalidValue(field, name, text)]
}

const notStandard = 'must be a standard resource type or fully qualified'

const checkStandardName = (name: string, field: string): FieldError[] =>
  nameProblems(name, field, (one) => isStandardQuotaName(one) || one === 'storage', notStandard)

const checkContainerName = (name: string, field: string): FieldError[] => {
  const errors = checkStandardName(name, field)
  if (name.includes('/')) {
    if (!isNativeName(name) && !isExtendedName(name))
      return [...errors, invalidValue(field, name, "doesn't follow extended resource name standard")]
    return errors
  }
  return compute.includes(name) || isHugePages(name)
    ? errors
    : [...errors, invalidValue(field, name, 'must be a standard resource for containers')]
}

export const checkLimitName = (type: string, name: string, field: string): FieldError[] =>
  type === 'Pod' || type === 'Container' ? checkContainerName(name, field) : checkStandardName(name, field)

export function checkQuotaAmounts(amounts: Record<string, unknown> | undefined, field: string): FieldError[] {
  return Object.entries(amounts ?? {}).flatMap(([name, amount]) => {
    const at = `${field}[${name}]`
    const errors = checkStandardName(name, at)
    if (!name.includes('/') && !isStandardQuotaName(name))
      errors.push(invalidValue(at, name, 'must be a standard resource for quota'))
    const quantity = tryParseQuantity(String(amount))
    if (!quantity) return errors
    if (quantity.nanos < 0n) errors.push(invalidValue(at, String(amount), 'must be greater than or equal to 0'))
    const whole = counted.includes(name) || isExtendedName(name)
    if (whole && quantity.nanos % 1_000_000_000n !== 0n)
      errors.push(invalidValue(at, String(amount), 'must be an integer'))
    return errors
  })
}
