// Rules for requests and limits of containers (pkg/apis/core/validation, Kubernetes 1.36), and the class of service
// that follows from them.

import type { FieldError } from '../../api/errors.ts'
import { qualifiedNameProblems } from '../../api/names.ts'
import {
  addQuantities,
  compareQuantities,
  formatQuantity,
  type Quantity,
  quantityMilli,
  tryParseQuantity,
} from '../../api/quantity.ts'
import { invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'

const standard = ['cpu', 'memory', 'ephemeral-storage']
const negativeText = 'must be greater than or equal to 0'

export function validateResources(resources: any, field: string): FieldError[] {
  if (!resources || typeof resources !== 'object') return []
  const errors = [
    ...validateAmounts(resources.limits, `${field}.limits`),
    ...validateAmounts(resources.requests, `${field}.requests`),
  ]
  for (const [name, request] of Object.entries(resources.requests ?? {})) {
    const limit = resources.limits?.[name]
    if (limit === undefined) {
      if (!standard.includes(name))
        errors.push(requiredValue(`${field}.limits`, 'Limit must be set for non overcommitable resources'))
    } else if (!standard.includes(name) && compare(request, limit) !== 0)
      errors.push(invalidValue(`${field}.requests`, String(request), `must be equal to ${name} limit of ${limit}`))
    else if (compare(request, limit) > 0)
      errors.push(
        invalidValue(`${field}.requests`, String(request), `must be less than or equal to ${name} limit of ${limit}`),
      )
  }
  return errors
}

export function validateAmounts(amounts: Record<string, unknown> | undefined, field: string): FieldError[] {
  return Object.entries(amounts ?? {}).flatMap(([name, amount]) => {
    const at = `${field}[${name}]`
    const errors = qualifiedNameProblems(name).map((problem) => invalidValue(field, name, problem))
    const quantity = tryParseQuantity(String(amount))
    if (quantity && quantity.nanos < 0n) errors.push(invalidValue(at, String(amount), negativeText))
    const isExtended = name.includes('/')
    if (!isExtended && !standard.includes(name) && !name.startsWith('hugepages-'))
      errors.push(invalidValue(field, name, 'must be a standard resource type or fully qualified'))
    if (isExtended && quantity && quantity.nanos % 1_000_000_000n !== 0n)
      errors.push(invalidValue(at, String(amount), 'must be an integer'))
    return errors
  })
}

/** Resources of the Pod as a whole: room for its containers together (1.34). */
export function validatePodResources(spec: any, field: string): FieldError[] {
  const { resources } = spec
  if (!resources) return []
  const at = `${field}.resources`
  const errors = validateResources(resources, at)
  for (const name of [...Object.keys(resources.requests ?? {}), ...Object.keys(resources.limits ?? {})])
    if (!['cpu', 'memory'].includes(name) && !name.startsWith('hugepages-'))
      errors.push(notSupported(at, name, ['cpu', 'hugepages-', 'memory']))
  for (const [name, total] of aggregateRequests(spec)) {
    const asked = resources.requests?.[name]
    if (asked !== undefined && (tryParseQuantity(String(asked)) ?? zero).nanos < total.nanos)
      errors.push(
        invalidValue(
          `${at}.requests[${name}]`,
          String(asked),
          `must be greater than or equal to aggregate container requests of ${formatQuantity(total)}`,
        ),
      )
  }
  for (const [index, container] of (spec.containers ?? []).entries())
    for (const [name, limit] of Object.entries(container.resources?.limits ?? {})) {
      const most = resources.limits?.[name]
      if (most !== undefined && compare(limit, most) > 0)
        errors.push(
          invalidValue(
            `${at}.containers[${index}][${name}].limits`,
            String(limit),
            `must be less than or equal to pod limits of ${most}`,
          ),
        )
    }
  return errors
}

/** Of main containers and sidecars, or of the neediest init container. */
export function aggregateRequests(spec: any): Map<string, Quantity> {
  const total = new Map<string, Quantity>()
  const add = (into: Map<string, Quantity>, requests: Record<string, unknown> = {}) => {
    for (const [name, amount] of Object.entries(requests))
      into.set(name, addQuantities(into.get(name) ?? zeroOf(amount), tryParseQuantity(String(amount)) ?? zero))
  }
  const peak = (other: Map<string, Quantity>) => {
    for (const [name, amount] of other) if (amount.nanos > (most.get(name)?.nanos ?? 0n)) most.set(name, amount)
  }
  const most = new Map<string, Quantity>()
  const sidecars = new Map<string, Quantity>()
  for (const { resources } of spec.containers ?? []) add(total, resources?.requests)
  for (const { resources, restartPolicy } of spec.initContainers ?? []) {
    if (restartPolicy === 'Always') {
      add(total, resources?.requests)
      add(sidecars, resources?.requests)
      peak(sidecars)
      continue
    }
    const needed = new Map(sidecars)
    add(needed, resources?.requests)
    peak(needed)
  }
  for (const [name, amount] of most) if (amount.nanos > (total.get(name)?.nanos ?? 0n)) total.set(name, amount)
  return total
}

const zeroOf = (amount: unknown): Quantity => ({ ...(tryParseQuantity(String(amount)) ?? zero), nanos: 0n })

const fieldNames = ['cpu', 'ephemeral-storage', 'memory']
const resourceFields = ['limits', 'requests'].flatMap((part) => fieldNames.map((name) => `${part}.${name}`))
const binarySteps = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']
const divisors = ['1', ...['k', 'M', 'G', 'T', 'P', 'E', ...binarySteps].map((unit) => `1${unit}`)]

/** The downward API's reference to a request or limit. */
export function validateResourceField(ref: any, field: string, volume: boolean): FieldError[] {
  const errors: FieldError[] = []
  const name: string = ref.resource ?? ''
  if (volume && !ref.containerName) errors.push(requiredValue(`${field}.containerName`))
  else if (!name) errors.push(requiredValue(`${field}.resource`))
  else if (!resourceFields.includes(name) && !/^(limits|requests)\.hugepages-/.test(name))
    errors.push(notSupported(`${field}.resource`, name, resourceFields))
  const divisor = ref.divisor === undefined ? undefined : tryParseQuantity(String(ref.divisor))
  if (!divisor || divisor.nanos === 0n) return errors
  const allowed = name.endsWith('.cpu') ? ['1m', '1'] : divisors
  if (!allowed.some((text) => tryParseQuantity(text)!.nanos === divisor.nanos))
    errors.push(
      invalidValue(
        `${field}.divisor`,
        name,
        name.endsWith('.cpu')
          ? "only divisor's values 1m and 1 are supported with the cpu resource"
          : `only divisor's values ${divisors.join(', ')} are supported with the ${name.split('.')[1]} resource`,
      ),
    )
  return errors
}

const zero: Quantity = { nanos: 0n, format: 'DecimalSI' }
const compare = (a: unknown, b: unknown): number =>
  compareQuantities(tryParseQuantity(String(a)) ?? zero, tryParseQuantity(String(b)) ?? zero)

/** Guaranteed, Burstable or BestEffort (pkg/apis/core/helper/qos). */
export function qosClassOf(spec: any): string {
  const containers: any[] = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])]
  const whole = spec?.resources
  if (whole && ['cpu', 'memory'].some((name) => whole.requests?.[name] ?? whole.limits?.[name]))
    return classOf([{ resources: whole }])
  return classOf(containers)
}

function classOf(containers: any[]): string {
  const positive = (amount: unknown) =>
    (amount ?? undefined) !== undefined && quantityMilli(tryParseQuantity(String(amount)) ?? zero) > 0n
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
