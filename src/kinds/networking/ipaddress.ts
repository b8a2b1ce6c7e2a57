// IPAddress: an address that belongs to a Service, so that it belongs to no other.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dnsSubdomainProblems, pathSegmentProblems } from '../../api/names.ts'
import { ageColumn } from '../../api/table.ts'
import { invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { none, text } from '../columns.ts'
import { canonicalAddress, checkAddress } from '../rules/addresses.ts'
import { immutable } from '../rules/field.ts'
import { checkName } from '../rules/names.ts'
import { schemaOf, types } from '../types.ts'

function parent({ spec }: ApiObject): string {
  const reference = spec?.parentRef
  if (!reference) return none
  const resource = [reference.resource, reference.group].filter(Boolean).join('.').toLowerCase()
  return [resource, reference.namespace, reference.name].filter(Boolean).join('/')
}

function validateName(name: string): FieldError[] {
  const errors = checkAddress('metadata.name', name)
  if (errors.length > 0 || canonicalAddress(name) === name) return errors
  return [invalidValue('metadata.name', name, `must be in canonical form (${JSON.stringify(canonicalAddress(name))})`)]
}

function validateParent(reference: any): FieldError[] {
  const field = 'spec.parentRef'
  if (!reference) return [requiredValue(field)]
  const problems = (part: string, rule: (value: string) => string[]) =>
    reference[part]
      ? rule(reference[part]).map((problem) => invalidValue(`${field}.${part}`, reference[part], problem))
      : []
  return [
    ...problems('group', dnsSubdomainProblems),
    ...checkName(`${field}.resource`, reference.resource, pathSegmentProblems),
    ...checkName(`${field}.name`, reference.name, pathSegmentProblems),
    ...problems('namespace', pathSegmentProblems),
  ]
}

export const ipAddress = defineKind({
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'IPAddress',
  listKind: 'IPAddressList',
  plural: 'ipaddresses',
  singular: 'ipaddress',
  shortNames: ['ip'],
  scope: 'Cluster',
  schema: schemaOf('networking.v1.IPAddress'),
  types,
  hasGeneration: false,
  nameRule: 'path-segment',
  columns: [text('ParentRef', parent), ageColumn],
  fields: {
    'spec.parentRef.group': ({ spec }) => spec?.parentRef?.group ?? '',
    'spec.parentRef.resource': ({ spec }) => spec?.parentRef?.resource ?? '',
    'spec.parentRef.namespace': ({ spec }) => spec?.parentRef?.namespace ?? '',
    'spec.parentRef.name': ({ spec }) => spec?.parentRef?.name ?? '',
  },
  validate: ({ metadata, spec = {} }, old) => [
    ...(old ? immutable('spec.parentRef', spec.parentRef, old.spec?.parentRef) : validateName(metadata.name ?? '')),
    ...validateParent(spec.parentRef),
  ],
  example: {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IPAddress',
    metadata: { name: '10.43.0.10' },
    spec: { parentRef: { resource: 'services', namespace: 'kube-system', name: 'kube-dns' } },
  },
})
