// MutatingAdmissionPolicy: changes in CEL that requests undergo, where a binding says so.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { schemaOf, types } from '../types.ts'
import { onlyMutable, paramKindText } from './policy-match-rules.ts'
import { defaultPolicy, Expressions, validatePolicy } from './policy-rules.ts'

type Json = Record<string, any>

const specOf = (object: ApiObject | undefined): Json => (object?.spec ?? {}) as Json
const patchTypes = ['ApplyConfiguration', 'JSONPatch']
const reinvocations = ['IfNeeded', 'Never']

export const mutatingAdmissionPolicy = defineKind({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  kind: 'MutatingAdmissionPolicy',
  plural: 'mutatingadmissionpolicies',
  singular: 'mutatingadmissionpolicy',
  categories: ['api-extensions'],
  scope: 'Cluster',
  schema: schemaOf('admissionregistration.v1.MutatingAdmissionPolicy'),
  types,
  columns: [
    { name: 'Mutations', type: 'integer', value: (object) => (specOf(object).mutations ?? []).length },
    { name: 'ParamKind', type: 'string', value: (object) => paramKindText(specOf(object).paramKind) },
    ageColumn,
  ],
  defaults: (object) => defaultPolicy(object.spec as Json | undefined),
  validate(object, old) {
    if (old && equalJson(object.spec, old.spec)) return []
    return validateSpec(specOf(object), old && specOf(old))
  },
  example: {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingAdmissionPolicy',
    metadata: { name: 'team.example.com' },
    spec: {
      matchConstraints: {
        resourceRules: [
          { operations: ['CREATE'], apiGroups: ['apps'], apiVersions: ['v1'], resources: ['deployments'] },
        ],
      },
      mutations: [
        {
          patchType: 'ApplyConfiguration',
          applyConfiguration: { expression: 'Object{metadata: Object.metadata{labels: {"team": "a"}}}' },
        },
      ],
      reinvocationPolicy: 'Never',
    },
  },
})

function validateSpec(spec: Json, old: Json | undefined): FieldError[] {
  const expressions = new Expressions(spec.paramKind !== undefined)
  const errors = validatePolicy(spec, old, expressions)
  errors.push(...onlyMutable(spec.matchConstraints, 'spec.matchConstraints'))
  const mutations: Json[] = spec.mutations ?? []
  if (mutations.length === 0) errors.push(requiredValue('spec.mutations', 'mutations must contain at least one item'))
  mutations.forEach((one, index) => {
    errors.push(...validateMutation(one, `spec.mutations[${index}]`, expressions))
  })
  if (!spec.reinvocationPolicy) errors.push(requiredValue('spec.reinvocationPolicy'))
  else if (!reinvocations.includes(spec.reinvocationPolicy)) {
    errors.push(notSupported('spec.reinvocationPolicy', spec.reinvocationPolicy, reinvocations))
  }
  return errors
}

function validateMutation(one: Json, path: string, expressions: Expressions): FieldError[] {
  if (!one.patchType) return [requiredValue(`${path}.patchType`)]
  if (!patchTypes.includes(one.patchType)) return [notSupported(`${path}.patchType`, one.patchType, patchTypes)]
  const json = one.patchType === 'JSONPatch'
  const [field, other] = json ? ['jsonPatch', 'applyConfiguration'] : ['applyConfiguration', 'jsonPatch']
  const errors: FieldError[] = []
  const expression = one[field!]?.expression?.trim() ?? ''
  const at = `${path}.${field}`
  if (!one[field!]) errors.push(requiredValue(at, `must be specified when patchType is ${one.patchType}`))
  else if (expression === '') errors.push(requiredValue(`${at}.expression`))
  else errors.push(...expressions.check(expression, json ? 'list of JSONPatch' : 'Object', `${at}.expression`))
  if (one[other!]) {
    errors.push(
      invalidValue(`${path}.${other}`, `{${other}}`, `must not be specified when patchType is ${one.patchType}`),
    )
  }
  return errors
}
