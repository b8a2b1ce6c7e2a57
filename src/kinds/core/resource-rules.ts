// Rules for requests and limits of containers (pkg/apis/core/validation, Kubernetes 1.36), and the class of service
// that follows from them.

import type { FieldError } from '../../api/errors.ts'
import { qualifiedNameProblems } from '../../api/names.ts'
import { compareQuantities, type Quantity, quantityMilli, tryParseQuantity } from '../../api/quantity.ts'
import { forbidden, invalidValue, requiredValue } from '../../api/walk/rules.ts'

const standard = ['cpu', 'memory', 'ephemeral-storage']
const negativeText = 'must be greater than or equal to 0'

export function validateResources(resources: any, field: string): FieldError[] {
  if (!resources || typeof resources !== 'object') return []
  const errors: FieldError[] = []
  for (const part of ['limits', 'requests'] as const) {
    for (const [name, amount] of Object.entries(resources[part] ?? {}))
      errors.push(...validateAmount(name, amount, `${field}.${part}[${name}]`, `${field}.${part}`))
  }
  for (const [name, request] of Object.entries(resources.requests ?? {})) {
    const limit = resources.limits?.[name]
    if (limit === undefined) {
      if (!standard.includes(name) && !name.startsWith('hugepages-') && name.includes('/'))
        errors.push(requiredValue(`${field}.limits`, 'Limit must be set for non overcommitable resources'))
      continue
    }
    if (compare(request, limit) > 0)
      errors.push(
        invalidValue(`${field}.requests`, String(request), `must be less than or equal to ${name} limit of ${limit}`),
      )
  }
  if (resources.claims?.length)
    errors.push(forbidden(`${field}.claims`, 'dynamic resource allocation is not supported here'))
  return errors
}

function validateAmount(name: string, amount: unknown, at: string, parent: string): FieldError[] {
  const errors = qualifiedNameProblems(name).map((problem) => invalidValue(parent, name, problem))
  const quantity = tryParseQuantity(String(amount))
  if (quantity && quantity.nanos < 0n) errors.push(invalidValue(at, String(amount), negativeText))
  if (!name.includes('/') && !standard.includes(name) && !name.startsWith('hugepages-'))
    errors.push(invalidValue(parent, name, 'must be a standard resource type or fully qualified'))
  else if (name.includes('/') || name.startsWith('hugepages-'))
    errors.push(forbidden(at, 'this node offers cpu, memory and ephemeral-storage only'))
  return errors
}

const zero: Quantity = { nanos: 0n, format: 'DecimalSI' }
const compare = (a: unknown, b: unknown): number =>
  compareQuantities(tryParseQuantity(String(a)) ?? zero, tryParseQuantity(String(b)) ?? zero)

/** Guaranteed, Burstable or BestEffort (pkg/apis/core/helper/qos). */
export function qosClassOf(spec: any): string {
  const containers: any[] = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])]
  const positive = (amount: unknown) => quantityMilli(tryParseQuantity(String(amount ?? '0')) ?? zero) > 0n
  const asks = (container: any, part: string) =>
    ['cpu', 'memory'].some((name) => positive(container.resources?.[part]?.[name]))
  if (!containers.some((container) => asks(container, 'requests') || asks(container, 'limits'))) return 'BestEffort'
  const guaranteed = containers.every(({ resources = {} }) =>
    ['cpu', 'memory'].every((name) => {
      const limit = resources.limits?.[name]
      return positive(limit) && compare(resources.requests?.[name] ?? limit, limit) === 0
    }),
  )
  return guaranteed ? 'Guaranteed' : 'Burstable'
}
