// MutatingAdmissionPolicyBinding: where a policy changes requests, and with which params.

import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { schemaOf, types } from '../types.ts'
import {
  defaultMatchResources,
  onlyMutable,
  paramRefText,
  validateMatchResources,
  validateParamRef,
  validatePolicyName,
} from './policy-match-rules.ts'

const specOf = (object: ApiObject): Record<string, any> => (object.spec ?? {}) as Record<string, any>

export const mutatingAdmissionPolicyBinding = defineKind({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  kind: 'MutatingAdmissionPolicyBinding',
  plural: 'mutatingadmissionpolicybindings',
  singular: 'mutatingadmissionpolicybinding',
  categories: ['api-extensions'],
  scope: 'Cluster',
  schema: schemaOf('admissionregistration.v1.MutatingAdmissionPolicyBinding'),
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
      ...onlyMutable(spec.matchResources, 'spec.matchResources'),
    ]
  },
  example: {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingAdmissionPolicyBinding',
    metadata: { name: 'team-everywhere.example.com' },
    spec: { policyName: 'team.example.com' },
  },
})
