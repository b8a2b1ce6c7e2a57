// Rules for a HorizontalPodAutoscaler (pkg/apis/autoscaling/validation, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { type ApiObject, parseGroupVersion } from '../../api/meta.ts'
import { dnsLabelProblems, pathSegmentProblems } from '../../api/names.ts'
import { tryParseQuantity } from '../../api/quantity.ts'
import { validateSelector } from '../../api/selector.ts'
import { forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { validateCount } from '../rules/share.ts'

const longestPeriod = 1800
const longestWindow = 3600

export function validateAutoscaler({ spec = {}, status = {} }: ApiObject): FieldError[] {
  const { minReplicas, maxReplicas, metrics = [], behavior } = spec
  const errors: FieldError[] = []
  const scalesToZero = metrics.some(({ type }: any) => type === 'Object' || type === 'External')
  if (minReplicas !== undefined && minReplicas < (scalesToZero ? 0 : 1))
    errors.push(
      invalidValue('spec.minReplicas', minReplicas, `must be greater than or equal to ${scalesToZero ? 0 : 1}`),
    )
  if (!maxReplicas) errors.push(requiredValue('spec.maxReplicas', 'must be set and greater than 0'))
  else if (maxReplicas < 0)
    errors.push(invalidValue('spec.maxReplicas', maxReplicas, 'must be greater than or equal to 1'))
  if (maxReplicas < minReplicas)
    errors.push(invalidValue('spec.maxReplicas', maxReplicas, 'must be greater than or equal to `minReplicas`'))
  errors.push(...validateReference(spec.scaleTargetRef ?? {}, 'spec.scaleTargetRef'))
  metrics.forEach((metric: any, index: number) => {
    errors.push(...validateMetric(metric, `spec.metrics[${index}]`))
  })
  for (const direction of ['scaleUp', 'scaleDown'])
    if (behavior?.[direction]) errors.push(...validateRules(behavior[direction], `spec.behavior.${direction}`))
  for (const field of ['currentReplicas', 'desiredReplicas'])
    errors.push(...validateCount(`status.${field}`, status[field]))
  return errors
}

function validateReference(reference: any, field: string): FieldError[] {
  const errors: FieldError[] = []
  for (const part of ['kind', 'name']) {
    const value = reference[part] ?? ''
    if (!value) errors.push(requiredValue(`${field}.${part}`))
    else errors.push(...pathSegmentProblems(value).map((problem) => invalidValue(`${field}.${part}`, value, problem)))
  }
  const { apiVersion = '' } = reference
  if (apiVersion.split('/').length > 2)
    errors.push(invalidValue(`${field}.apiVersion`, apiVersion, `unexpected GroupVersion string: ${apiVersion}`))
  else if (parseGroupVersion(apiVersion).group === '' && apiVersion !== '' && apiVersion !== 'v1')
    errors.push(invalidValue(`${field}.apiVersion`, apiVersion, 'apiVersion must specify API group'))
  return errors
}

function validateRules(rules: any, field: string): FieldError[] {
  const { stabilizationWindowSeconds: window, selectPolicy, policies = [], tolerance } = rules
  const errors: FieldError[] = []
  const windowField = `${field}.stabilizationWindowSeconds`
  if (window < 0) errors.push(invalidValue(windowField, window, 'must be greater than or equal to zero'))
  if (window > longestWindow)
    errors.push(invalidValue(windowField, window, `must be less than or equal to ${longestWindow}`))
  if (selectPolicy !== undefined && !['Disabled', 'Max', 'Min'].includes(selectPolicy))
    errors.push(notSupported(`${field}.selectPolicy`, selectPolicy, ['Disabled', 'Max', 'Min']))
  if (!policies.length) errors.push(requiredValue(`${field}.policies`, 'must specify at least one Policy'))
  policies.forEach(({ type, value, periodSeconds }: any, index: number) => {
    const path = `${field}.policies[${index}]`
    if (!['Pods', 'Percent'].includes(type)) errors.push(notSupported(`${path}.type`, type, ['Percent', 'Pods']))
    if (!(value > 0)) errors.push(invalidValue(`${path}.value`, value, 'must be greater than zero'))
    if (!(periodSeconds > 0))
      errors.push(invalidValue(`${path}.periodSeconds`, periodSeconds, 'must be greater than zero'))
    if (periodSeconds > longestPeriod)
      errors.push(
        invalidValue(`${path}.periodSeconds`, periodSeconds, `must be less than or equal to ${longestPeriod}`),
      )
  })
  if (tolerance !== undefined && (tryParseQuantity(String(tolerance))?.nanos ?? 0n) < 0n)
    errors.push(invalidValue(`${field}.tolerance`, tolerance, 'must be greater than or equal to 0'))
  return errors
}

/** metric type → the field that has its source */
const sources: Record<string, string> = {
  ContainerResource: 'containerResource',
  External: 'external',
  Object: 'object',
  Pods: 'pods',
  Resource: 'resource',
}

function validateMetric(metric: any, field: string): FieldError[] {
  const { type } = metric
  const source = sources[type]
  if (!type) return [requiredValue(`${field}.type`, 'must specify a metric source type')]
  if (!source) return [notSupported(`${field}.type`, type, Object.keys(sources))]
  const errors = Object.values(sources)
    .filter((other) => other !== source && metric[other])
    .map((other) => forbidden(`${field}.${other}`, 'must populate the given metric source only'))
  if (!metric[source])
    return [...errors, requiredValue(`${field}.${source}`, 'must populate information for the given metric source')]
  return [...errors, ...validateSource(type, metric[source], `${field}.${source}`)]
}

function validateSource(type: string, source: any, field: string): FieldError[] {
  const errors = validateTarget(source.target ?? {}, `${field}.target`)
  const { value, averageValue, averageUtilization } = source.target ?? {}
  if (type === 'Resource' || type === 'ContainerResource') {
    if (!source.name) errors.push(requiredValue(`${field}.name`, 'must specify a resource name'))
    if (averageUtilization === undefined && averageValue === undefined)
      errors.push(
        requiredValue(
          `${field}.target.averageUtilization`,
          'must set either a target raw value or a target utilization',
        ),
      )
    if (averageUtilization !== undefined && averageValue !== undefined)
      errors.push(
        forbidden(`${field}.target.averageValue`, 'may not set both a target raw value and a target utilization'),
      )
    if (type === 'Resource') return errors
    const { container } = source
    if (!container) return [...errors, requiredValue(`${field}.container`, 'must specify a container')]
    return [
      ...errors,
      ...dnsLabelProblems(container).map((text) => invalidValue(`${field}.container`, container, text)),
    ]
  }
  errors.push(...validateIdentifier(source.metric ?? {}, `${field}.metric`))
  const average = `${field}.target.averageValue`
  if (type === 'Object') errors.push(...validateReference(source.describedObject ?? {}, `${field}.describedObject`))
  if (type === 'Pods' && averageValue === undefined)
    errors.push(requiredValue(average, 'must specify a positive target averageValue'))
  if (type !== 'Pods' && value === undefined && averageValue === undefined)
    errors.push(
      requiredValue(
        average,
        type === 'Object'
          ? 'must set either a target value or averageValue'
          : 'must set either a target value for metric or a per-pod target',
      ),
    )
  if (type === 'External' && value !== undefined && averageValue !== undefined)
    errors.push(forbidden(`${field}.target.value`, 'may not set both a target value for metric and a per-pod target'))
  return errors
}

function validateTarget({ type, averageUtilization, ...target }: any, field: string): FieldError[] {
  const errors: FieldError[] = []
  if (!type) errors.push(requiredValue(`${field}.type`, 'must specify a metric target type'))
  if (!['Utilization', 'Value', 'AverageValue'].includes(type))
    errors.push(invalidValue(`${field}.type`, type ?? '', 'must be either Utilization, Value, or AverageValue'))
  for (const name of ['value', 'averageValue'])
    if (target[name] !== undefined && !((tryParseQuantity(String(target[name]))?.nanos ?? 0n) > 0n))
      errors.push(invalidValue(`${field}.${name}`, target[name], 'must be positive'))
  if (averageUtilization < 1)
    errors.push(invalidValue(`${field}.averageUtilization`, averageUtilization, 'must be greater than 0'))
  return errors
}

function validateIdentifier({ name, selector }: any, field: string): FieldError[] {
  if (!name) return [requiredValue(`${field}.name`, 'must specify a metric name')]
  return [
    ...pathSegmentProblems(name).map((problem) => invalidValue(`${field}.name`, name, problem)),
    ...validateSelector(selector, `${field}.selector`),
  ]
}
