// APIService: which server answers a version of a group: this one, or one behind a Service
// (kube-aggregator/pkg/apis/apiregistration, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dns1035LabelProblems, dnsSubdomainProblems, portNumberProblems } from '../../api/names.ts'
import { ageColumn } from '../../api/table.ts'
import { invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'

function validate(object: ApiObject): FieldError[] {
  const { spec = {}, metadata, status = {} } = object
  const { group = '', version = '' } = spec
  const wanted = `${version}.${group}`
  const errors: FieldError[] = []
  if (metadata.name !== wanted)
    errors.push(
      invalidValue(
        'metadata.name',
        metadata.name,
        `must be \`spec.version+"."+spec.group\`: ${JSON.stringify(wanted)}`,
      ),
    )
  if (group === '' && version !== 'v1')
    errors.push(requiredValue('spec.group', 'only v1 may have an empty group and it better be legacy kube'))
  if (group !== '')
    errors.push(...dnsSubdomainProblems(group).map((problem) => invalidValue('spec.group', group, problem)))
  errors.push(...dns1035LabelProblems(version).map((problem) => invalidValue('spec.version', version, problem)))
  errors.push(...priority('spec.groupPriorityMinimum', spec.groupPriorityMinimum ?? 0, 20000))
  errors.push(...priority('spec.versionPriority', spec.versionPriority ?? 0, 1000))
  for (const [index, condition] of (status.conditions ?? []).entries())
    if (!['True', 'False', 'Unknown'].includes(condition.status))
      errors.push(notSupported(`status.conditions[${index}].status`, condition.status, ['True', 'False', 'Unknown']))
  return [...errors, ...(spec.service ? validateRemote(spec) : validateLocal(spec))]
}

const priority = (field: string, value: number, limit: number): FieldError[] =>
  value > 0 && value <= limit ? [] : [invalidValue(field, value, `must be positive and less than ${limit}`)]

function validateLocal({ caBundle, insecureSkipTLSVerify }: Record<string, any>): FieldError[] {
  const errors: FieldError[] = []
  if (caBundle)
    errors.push(
      invalidValue('spec.caBundle', `${atob(caBundle).length} bytes`, 'local APIServices may not have a caBundle'),
    )
  if (insecureSkipTLSVerify)
    errors.push(
      invalidValue('spec.insecureSkipTLSVerify', true, 'local APIServices may not have insecureSkipTLSVerify'),
    )
  return errors
}

function validateRemote({ service, caBundle, insecureSkipTLSVerify }: Record<string, any>): FieldError[] {
  const errors: FieldError[] = []
  if (!service.namespace) errors.push(requiredValue('spec.service.namespace'))
  if (!service.name) errors.push(requiredValue('spec.service.name'))
  const problems = portNumberProblems(service.port ?? 0)
  if (problems.length > 0)
    errors.push(invalidValue('spec.service.port', service.port, `port is not valid: ${problems.join(', ')}`))
  if (insecureSkipTLSVerify && caBundle)
    errors.push(invalidValue('spec.insecureSkipTLSVerify', true, 'may not be true if caBundle is present'))
  return errors
}

function available({ status }: ApiObject): string {
  const condition = (status?.conditions ?? []).find((one: { type: string }) => one.type === 'Available')
  if (!condition) return 'Unknown'
  if (condition.status === 'True' || !condition.reason) return condition.status
  return `${condition.status} (${condition.reason})`
}

export const localCondition = {
  type: 'Available',
  status: 'True',
  reason: 'Local',
  message: 'Local APIServices are always available',
}

export const apiService = defineKind({
  group: 'apiregistration.k8s.io',
  version: 'v1',
  kind: 'APIService',
  plural: 'apiservices',
  singular: 'apiservice',
  categories: ['api-extensions'],
  scope: 'Cluster',
  schema: schemaOf('apiregistration.v1.APIService'),
  types,
  subresources: { status: true },
  hasGeneration: false,
  // 'v1.' is the name of the group that has none.
  nameRule: 'path-segment',
  columns: [
    text('Service', ({ spec }) => (spec?.service ? `${spec.service.namespace}/${spec.service.name}` : 'Local')),
    text('Available', available),
    ageColumn,
  ],
  defaults({ spec }) {
    if (spec?.service) spec.service.port ??= 443
  },
  // What this server answers itself is there as long as it is.
  prepareCreate(object) {
    if (object.spec?.service) return
    const lastTransitionTime = object.metadata.creationTimestamp
    object.status = { conditions: [{ ...localCondition, ...(lastTransitionTime && { lastTransitionTime }) }] }
  },
  validate,
  example: {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: { name: 'v1alpha1.wardle.example.com' },
    spec: {
      group: 'wardle.example.com',
      version: 'v1alpha1',
      groupPriorityMinimum: 2000,
      versionPriority: 200,
      service: { namespace: 'wardle', name: 'api' },
    },
  },
})
