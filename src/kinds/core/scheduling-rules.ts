// Rules for what tells the scheduler where a Pod may go: affinity, spread, tolerations, gates
// (pkg/apis/core/validation, Kubernetes 1.36).

import type { FieldError } from '../../api/errors.ts'
import { dnsLabelProblems, labelValueProblems, qualifiedNameProblems } from '../../api/names.ts'
import { validateSelector } from '../../api/selector.ts'
import { duplicateValue, forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'

const each = (list: any[] | undefined, field: string, rule: (item: any, at: string) => FieldError[]): FieldError[] =>
  (list ?? []).flatMap((item, index) => rule(item, `${field}[${index}]`))

const labelName = (name: unknown, field: string): FieldError[] =>
  qualifiedNameProblems(`${name ?? ''}`).map((problem) => invalidValue(field, name, problem))

export const validatePlacement = (spec: any, field: string): FieldError[] => [
  ...validateAffinity(spec.affinity, `${field}.affinity`),
  ...validateSpread(spec.topologySpreadConstraints, `${field}.topologySpreadConstraints`),
  ...validateTolerations(spec.tolerations, `${field}.tolerations`),
  ...validateGates(spec.schedulingGates, `${field}.schedulingGates`),
  ...each(spec.readinessGates, `${field}.readinessGates`, (gate, at) =>
    labelName(gate.conditionType, `${at}.conditionType`),
  ),
]

function validateAffinity(affinity: any, field: string): FieldError[] {
  if (!affinity) return []
  const { nodeAffinity, podAffinity, podAntiAffinity } = affinity
  return [
    ...(nodeAffinity ? validateNodeAffinity(nodeAffinity, `${field}.nodeAffinity`) : []),
    ...(podAffinity ? validatePodTerms(podAffinity, `${field}.podAffinity`) : []),
    ...(podAntiAffinity ? validatePodTerms(podAntiAffinity, `${field}.podAntiAffinity`) : []),
  ]
}

const weight = (value: unknown, field: string): FieldError[] =>
  Number(value) >= 1 && Number(value) <= 100
    ? []
    : [invalidValue(`${field}.weight`, value, 'must be in the range 1-100')]

function validateNodeAffinity(affinity: any, field: string): FieldError[] {
  const required = affinity.requiredDuringSchedulingIgnoredDuringExecution
  const at = `${field}.requiredDuringSchedulingIgnoredDuringExecution`
  const errors: FieldError[] = []
  if (required && !required.nodeSelectorTerms?.length)
    errors.push(requiredValue(`${at}.nodeSelectorTerms`, 'must have at least one node selector term'))
  errors.push(...each(required?.nodeSelectorTerms, `${at}.nodeSelectorTerms`, validateNodeTerm))
  return [
    ...errors,
    ...each(
      affinity.preferredDuringSchedulingIgnoredDuringExecution,
      `${field}.preferredDuringSchedulingIgnoredDuringExecution`,
      (term, place) => [
        ...weight(term.weight, place),
        ...validateNodeTerm(term.preference ?? {}, `${place}.preference`),
      ],
    ),
  ]
}

const nodeOperators = ['DoesNotExist', 'Exists', 'Gt', 'In', 'Lt', 'NotIn']

export const validateNodeTerm = (term: any, field: string): FieldError[] => [
  ...each(term.matchExpressions, `${field}.matchExpressions`, validateExpression),
  ...each(term.matchFields, `${field}.matchFields`, (requirement, at) => {
    const errors: FieldError[] = []
    if (!['In', 'NotIn'].includes(requirement.operator))
      errors.push(invalidValue(`${at}.operator`, requirement.operator, 'not a valid selector operator'))
    else if (requirement.values?.length !== 1)
      errors.push(
        requiredValue(
          `${at}.values`,
          "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
        ),
      )
    if (requirement.key !== 'metadata.name')
      errors.push(invalidValue(`${at}.key`, requirement.key, 'not a valid field selector key'))
    return errors
  }),
]

function validateExpression({ key, operator, values }: any, field: string): FieldError[] {
  const errors: FieldError[] = []
  if (!nodeOperators.includes(operator))
    errors.push(invalidValue(`${field}.operator`, operator, 'not a valid selector operator'))
  if ((operator === 'In' || operator === 'NotIn') && !values?.length)
    errors.push(requiredValue(`${field}.values`, "must be specified when `operator` is 'In' or 'NotIn'"))
  if ((operator === 'Exists' || operator === 'DoesNotExist') && values?.length)
    errors.push(forbidden(`${field}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
  if ((operator === 'Gt' || operator === 'Lt') && values?.length !== 1)
    errors.push(requiredValue(`${field}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"))
  return [...errors, ...labelName(key, `${field}.key`)]
}

function validatePodTerms(affinity: any, field: string): FieldError[] {
  return [
    ...each(
      affinity.requiredDuringSchedulingIgnoredDuringExecution,
      `${field}.requiredDuringSchedulingIgnoredDuringExecution`,
      validatePodTerm,
    ),
    ...each(
      affinity.preferredDuringSchedulingIgnoredDuringExecution,
      `${field}.preferredDuringSchedulingIgnoredDuringExecution`,
      (term, at) => [
        ...weight(term.weight, at),
        ...validatePodTerm(term.podAffinityTerm ?? {}, `${at}.podAffinityTerm`),
      ],
    ),
  ]
}

function validatePodTerm(term: any, field: string): FieldError[] {
  const errors = [
    ...validateSelector(term.labelSelector, `${field}.labelSelector`),
    ...validateSelector(term.namespaceSelector, `${field}.namespaceSelector`),
    ...(term.namespaces ?? []).flatMap((name: string) =>
      dnsLabelProblems(name).map((problem) => invalidValue(`${field}.namespace`, name, problem)),
    ),
  ]
  if (!term.topologyKey) errors.push(requiredValue(`${field}.topologyKey`, 'can not be empty'))
  return [...errors, ...labelName(term.topologyKey, `${field}.topologyKey`)]
}

function validateSpread(constraints: any[] = [], field: string): FieldError[] {
  const seen = new Set<string>()
  return each(constraints, field, (constraint, at) => {
    const errors: FieldError[] = []
    const { maxSkew, topologyKey, whenUnsatisfiable, minDomains, labelSelector } = constraint
    if (!(maxSkew > 0)) errors.push(invalidValue(`${at}.maxSkew`, maxSkew ?? 0, 'must be greater than zero'))
    if (!topologyKey) errors.push(requiredValue(`${at}.topologyKey`, 'can not be empty'))
    else errors.push(...labelName(topologyKey, `${at}.topologyKey`))
    if (!['DoNotSchedule', 'ScheduleAnyway'].includes(whenUnsatisfiable))
      errors.push(notSupported(`${at}.whenUnsatisfiable`, whenUnsatisfiable ?? '', ['DoNotSchedule', 'ScheduleAnyway']))
    if (minDomains !== undefined && minDomains <= 0)
      errors.push(invalidValue(`${at}.minDomains`, minDomains, 'must be greater than 0'))
    if (minDomains !== undefined && whenUnsatisfiable !== 'DoNotSchedule')
      errors.push(
        invalidValue(
          `${at}.minDomains`,
          minDomains,
          'can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway',
        ),
      )
    const key = `{${topologyKey}, ${whenUnsatisfiable}}`
    if (seen.has(key)) errors.push(duplicateValue(`${at}.{topologyKey, whenUnsatisfiable}`, key))
    seen.add(key)
    return [...errors, ...validateSelector(labelSelector, `${at}.labelSelector`)]
  })
}

export const validateTolerations = (tolerations: any[] | undefined, field: string): FieldError[] =>
  each(tolerations, field, (toleration, at) => {
    const errors: FieldError[] = []
    const operator = toleration.operator || 'Equal'
    if (toleration.key) errors.push(...labelName(toleration.key, `${at}.key`))
    else if (operator !== 'Exists')
      errors.push(
        invalidValue(
          `${at}.operator`,
          operator,
          'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        ),
      )
    if (operator === 'Equal')
      errors.push(
        ...labelValueProblems(toleration.value ?? '').map((text) =>
          invalidValue(`${at}.operator`, toleration.value, text),
        ),
      )
    else if (operator === 'Exists' && toleration.value)
      errors.push(invalidValue(`${at}.operator`, toleration.value, "value must be empty when `operator` is 'Exists'"))
    else if (operator !== 'Exists') errors.push(notSupported(`${at}.operator`, operator, ['Equal', 'Exists']))
    if (toleration.tolerationSeconds !== undefined && toleration.effect !== 'NoExecute')
      errors.push(
        invalidValue(
          `${at}.effect`,
          toleration.effect ?? '',
          "effect must be 'NoExecute' when `tolerationSeconds` is set",
        ),
      )
    return errors
  })

function validateGates(gates: any[] | undefined, field: string): FieldError[] {
  const seen = new Set<string>()
  return each(gates, field, ({ name }, at) => {
    const errors = labelName(name, at)
    if (seen.has(name)) errors.push(duplicateValue(at, name))
    seen.add(name)
    return errors
  })
}
