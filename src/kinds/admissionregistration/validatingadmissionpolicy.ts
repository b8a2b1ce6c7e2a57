// ValidatingAdmissionPolicy: rules in CEL that requests must keep, where a binding says so.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { qualifiedNameProblems } from '../../api/names.ts'
import { ageColumn } from '../../api/table.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { duplicateValue, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { schemaOf, types } from '../types.ts'
import { paramKindText } from './policy-match-rules.ts'
import { defaultPolicy, Expressions, validatePolicy } from './policy-rules.ts'

type Json = Record<string, any>

const specOf = (object: ApiObject | undefined): Json => (object?.spec ?? {}) as Json
const reasons = ['Forbidden', 'Invalid', 'RequestEntityTooLarge']
const mostAnnotations = 20
const longestExpression = 5 * 1024

export const validatingAdmissionPolicy = defineKind({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  kind: 'ValidatingAdmissionPolicy',
  plural: 'validatingadmissionpolicies',
  singular: 'validatingadmissionpolicy',
  categories: ['api-extensions'],
  scope: 'Cluster',
  schema: schemaOf('admissionregistration.v1.ValidatingAdmissionPolicy'),
  types,
  subresources: { status: true },
  columns: [
    { name: 'Validations', type: 'integer', value: (object) => (specOf(object).validations ?? []).length },
    { name: 'ParamKind', type: 'string', value: (object) => paramKindText(specOf(object).paramKind) },
    ageColumn,
  ],
  defaults: (object) => defaultPolicy(object.spec as Json | undefined),
  validate(object, old, subresource) {
    if (subresource === 'status') return []
    // What did not change was good when it came.
    if (old && equalJson(object.spec, old.spec)) return []
    return validateSpec(object.metadata.name ?? '', specOf(object), old && specOf(old))
  },
  example: {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: 'replicas.example.com' },
    spec: {
      matchConstraints: {
        resourceRules: [
          { operations: ['CREATE', 'UPDATE'], apiGroups: ['apps'], apiVersions: ['v1'], resources: ['deployments'] },
        ],
      },
      validations: [{ expression: 'object.spec.replicas <= 5', message: 'at most five replicas' }],
    },
  },
})

function validateSpec(name: string, spec: Json, old: Json | undefined): FieldError[] {
  const expressions = new Expressions(spec.paramKind !== undefined)
  const errors = validatePolicy(spec, old, expressions)
  const validations: Json[] = spec.validations ?? []
  const annotations: Json[] = spec.auditAnnotations ?? []
  if (validations.length === 0 && annotations.length === 0) {
    const detail = 'validations or auditAnnotations must contain at least one item'
    errors.push(requiredValue('spec.validations', detail), requiredValue('spec.auditAnnotations', detail))
  }
  validations.forEach((one, index) => {
    errors.push(...validateValidation(one, `spec.validations[${index}]`, expressions))
  })
  if (annotations.length > mostAnnotations) {
    const detail = `must not have more than ${mostAnnotations} auditAnnotations`
    errors.push(invalidValue('spec.auditAnnotations', annotations, detail))
  }
  annotations.forEach((one, index) => {
    const path = `spec.auditAnnotations[${index}]`
    errors.push(...validateAnnotation(name, one, path, expressions))
    if (annotations.findIndex((other) => other.key === one.key) < index)
      errors.push(duplicateValue(`${path}.key`, one.key))
  })
  return errors
}

function validateValidation(one: Json, path: string, expressions: Expressions): FieldError[] {
  const errors: FieldError[] = []
  const { expression = '', message = '', messageExpression = '', reason } = one
  if (expression.trim() === '') errors.push(requiredValue(`${path}.expression`, 'expression is not specified'))
  else errors.push(...expressions.check(expression, 'bool', `${path}.expression`))
  if (messageExpression !== '') {
    const at = `${path}.messageExpression`
    if (messageExpression.trim() === '')
      errors.push(invalidValue(at, messageExpression, 'must be non-empty if specified'))
    else errors.push(...expressions.check(messageExpression, 'string', at, false))
  }
  if (message !== '' && message.trim() === '') {
    errors.push(invalidValue(`${path}.message`, message, 'must be non-empty if specified'))
  } else if (/[\n\r]/.test(message.trim())) {
    errors.push(invalidValue(`${path}.message`, message, 'must not contain line breaks'))
  }
  if (reason !== undefined && !reasons.includes(reason)) errors.push(notSupported(`${path}.reason`, reason, reasons))
  return errors
}

function validateAnnotation(policy: string, one: Json, path: string, expressions: Expressions): FieldError[] {
  const { key = '', valueExpression = '' } = one
  const errors = qualifiedNameProblems(`${policy}/${key}`).map((text) =>
    invalidValue(`${path}.key`, `${policy}/${key}`, text),
  )
  const trimmed = valueExpression.trim()
  const at = `${path}.valueExpression`
  if (trimmed === '') return [...errors, requiredValue(at, 'valueExpression is not specified')]
  if (trimmed.length > longestExpression) {
    return [...errors, requiredValue(at, `must not exceed ${longestExpression} bytes in length`)]
  }
  return [...errors, ...expressions.check(trimmed, 'string or null', at)]
}
