// ValidatingAdmissionPolicyBinding: where a policy holds, with which params, and what happens to those who break it.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { duplicateValue, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { schemaOf, types } from '../types.ts'
import {
  defaultMatchResources,
  paramRefText,
  validateMatchResources,
  validateParamRef,
  validatePolicyName,
} from './policy-match-rules.ts'

const specOf = (object: ApiObject): Record<string, any> => (object.spec ?? {}) as Record<string, any>
const actions = ['Audit', 'Deny', 'Warn']

export const validatingAdmissionPolicyBinding = defineKind({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  kind: 'ValidatingAdmissionPolicyBinding',
  plural: 'validatingadmissionpolicybindings',
  singular: 'validatingadmissionpolicybinding',
  categories: ['api-extensions'],
  scope: 'Cluster',
  schema: schemaOf('admissionregistration.v1.ValidatingAdmissionPolicyBinding'),
  types,
  columns: [
    { name: 'PolicyName', type: 'string', value: '.spec.policyName' },
    { name: 'ParamRef', type: 'string', value: (object) => paramRefText(specOf(object).paramRef) },
    ageColumn,
  ],
  defaults: (object) => defaultMatchResources(specOf(object).matchResources),
  validate(object) {
    const spec = specOf(object)
    return [
      ...validatePolicyName(spec.policyName, 'spec.policyName'),
      ...validateParamRef(spec.paramRef, 'spec.paramRef'),
      ...validateMatchResources(spec.matchResources, 'spec.matchResources'),
      ...validateActions(spec.validationActions ?? [], 'spec.validationActions'),
    ]
  },
  example: {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: 'replicas-everywhere.example.com' },
    spec: { policyName: 'replicas.example.com', validationActions: ['Deny'] },
  },
})

function validateActions(list: string[], path: string): FieldError[] {
  const errors: FieldError[] = []
  list.forEach((action, index) => {
    if (!actions.includes(action)) errors.push(notSupported(`${path}[${index}]`, action, actions))
    if (list.indexOf(action) < index) errors.push(duplicateValue(`${path}[${index}]`, action))
  })
  if (list.includes('Deny') && list.includes('Warn')) {
    const detail =
      'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)'
    errors.push(invalidValue(path, list, detail))
  }
  if (list.length === 0) errors.push(requiredValue(path, 'at least one validation action is required'))
  return errors
}
