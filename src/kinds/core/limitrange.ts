// LimitRange: how small and how large Pods, containers and claims of a namespace may be, and what they get unasked.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { qualifiedNameProblems } from '../../api/names.ts'
import { compareQuantities, type Quantity, quantityOf, tryParseQuantity } from '../../api/quantity.ts'
import { duplicateValue, forbidden, invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import { checkLimitName, isOvercommitAllowed } from './quota-names.ts'

type Limit = Record<string, any>

const limitTypes = ['Pod', 'Container', 'PersistentVolumeClaim']
const parts = ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio']

/** The largest that is allowed is the limit of who names none; a limit is also the request (core/v1 defaults.go). */
function defaults(object: ApiObject): void {
  for (const limit of object.spec?.limits ?? []) {
    if (limit.type !== 'Container') continue
    limit.default = { ...limit.max, ...limit.default }
    limit.defaultRequest = { ...limit.min, ...limit.default, ...limit.defaultRequest }
    for (const part of ['default', 'defaultRequest']) if (Object.keys(limit[part]).length === 0) delete limit[part]
  }
}

function validate(object: ApiObject): FieldError[] {
  const limits: Limit[] = object.spec?.limits ?? []
  return limits.flatMap((limit, index) => {
    const path = `spec.limits[${index}]`
    const errors = checkType(limit.type, `${path}.type`)
    if (limits.findIndex((other) => other.type === limit.type) < index)
      errors.push(duplicateValue(`${path}.type`, limit.type))
    return [...errors, ...validateLimit(limit, path)]
  })
}

function checkType(type: string, field: string): FieldError[] {
  const problems = qualifiedNameProblems(type ?? '')
  if (problems.length > 0) return problems.map((problem) => invalidValue(field, type ?? '', problem))
  if (type.includes('/') || limitTypes.includes(type)) return []
  return [invalidValue(field, type, 'must be a standard limit type or fully qualified')]
}

function validateLimit(limit: Limit, path: string): FieldError[] {
  const errors: FieldError[] = []
  const forPod = limit.type === 'Pod'
  for (const part of parts) {
    const names = Object.keys(limit[part] ?? {})
    if (forPod && part.startsWith('default')) {
      if (names.length > 0) errors.push(forbidden(`${path}.${part}`, "may not be specified when `type` is 'Pod'"))
      continue
    }
    for (const name of names) errors.push(...checkLimitName(limit.type, name, `${path}.${part}[${name}]`))
  }
  if (limit.type === 'PersistentVolumeClaim' && !limit.min?.storage && !limit.max?.storage)
    errors.push(
      requiredValue(`${path}.limits`, 'either minimum or maximum storage value is required, but neither was provided'),
    )
  const used = forPod ? { ...limit, default: undefined, defaultRequest: undefined } : limit
  const names = new Set(parts.flatMap((part) => Object.keys((used as Limit)[part] ?? {})))
  for (const name of names) errors.push(...compareParts(used, name, path))
  return errors
}

function compareParts(limit: Limit, name: string, path: string): FieldError[] {
  const errors: FieldError[] = []
  const textOf = (part: string): string => String(limit[part]?.[name])
  const at = (part: string): Quantity | undefined =>
    limit[part]?.[name] === undefined ? undefined : tryParseQuantity(textOf(part))
  const field = (part: string) => `${path}.${part}[${name}]`
  /** `small` may not be greater than `large`; the error is told of `of`, with the value of `shown`. */
  const order = (small: string, large: string, of: string, shown: string, detail: string): void => {
    const [a, b] = [at(small), at(large)]
    if (a && b && compareQuantities(a, b) > 0) errors.push(invalidValue(field(of), textOf(shown), detail))
  }
  const [min, max, preset, request] = ['min', 'max', 'default', 'defaultRequest'].map(textOf)
  order('min', 'max', 'min', 'min', `min value ${min} is greater than max value ${max}`)
  order(
    'min',
    'defaultRequest',
    'defaultRequest',
    'defaultRequest',
    `min value ${min} is greater than default request value ${request}`,
  )
  order(
    'defaultRequest',
    'max',
    'defaultRequest',
    'defaultRequest',
    `default request value ${request} is greater than max value ${max}`,
  )
  order(
    'defaultRequest',
    'default',
    'defaultRequest',
    'defaultRequest',
    `default request value ${request} is greater than default limit value ${preset}`,
  )
  order('min', 'default', 'default', 'min', `min value ${min} is greater than default value ${preset}`)
  order('default', 'max', 'default', 'max', `default value ${preset} is greater than max value ${max}`)
  errors.push(
    ...checkRatio(
      at('maxLimitRequestRatio'),
      at('min'),
      at('max'),
      textOf('maxLimitRequestRatio'),
      field('maxLimitRequestRatio'),
    ),
  )
  const [a, b] = [at('default'), at('defaultRequest')]
  if (!isOvercommitAllowed(name) && a && b && compareQuantities(a, b) !== 0)
    errors.push(
      invalidValue(
        field('defaultRequest'),
        request,
        `default value ${preset} must equal to defaultRequest value ${request} in ${name}`,
      ),
    )
  return errors
}

function checkRatio(
  ratio: Quantity | undefined,
  min: Quantity | undefined,
  max: Quantity | undefined,
  shown: string,
  field: string,
): FieldError[] {
  if (!ratio) return []
  const errors: FieldError[] = []
  if (compareQuantities(ratio, quantityOf(1)) < 0)
    errors.push(invalidValue(field, shown, `ratio ${shown} is less than 1`))
  if (!min || !max) return errors
  const most = Number(max.nanos) / Number(min.nanos)
  if (Number(ratio.nanos) / 1e9 > most)
    errors.push(invalidValue(field, shown, `ratio ${shown} is greater than max/min = ${most.toFixed(6)}`))
  return errors
}

export const limitRange = defineKind({
  group: '',
  version: 'v1',
  kind: 'LimitRange',
  plural: 'limitranges',
  singular: 'limitrange',
  shortNames: ['limits'],
  scope: 'Namespaced',
  schema: schemaOf('core.v1.LimitRange'),
  types,
  hasGeneration: false,
  columns: [text('Created At', (object) => object.metadata.creationTimestamp ?? '<unknown>')],
  defaults,
  validate,
  example: {
    apiVersion: 'v1',
    kind: 'LimitRange',
    metadata: { name: 'sizes', namespace: 'shop' },
    spec: { limits: [{ type: 'Container', max: { memory: '1Gi' }, defaultRequest: { cpu: '100m' } }] },
  },
})
