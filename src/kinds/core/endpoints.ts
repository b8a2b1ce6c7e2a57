// Endpoints: the addresses behind a Service, in the older form that some clients still read.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dnsLabelProblems, dnsSubdomainProblems, qualifiedNameProblems } from '../../api/names.ts'
import { ageColumn } from '../../api/table.ts'
import { invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { joinFirst, none, text } from '../columns.ts'
import { checkEndpointAddress } from '../rules/endpoint-address.ts'
import { checkPort } from '../rules/names.ts'
import { schemaOf, types } from '../types.ts'

function addresses({ subsets = [] }: ApiObject): string {
  const list: string[] = []
  for (const subset of subsets) {
    const ips: string[] = (subset.addresses ?? []).map((address: any) => address.ip)
    if (!subset.ports?.length) list.push(...ips)
    for (const port of subset.ports ?? []) list.push(...ips.map((ip) => `${ip}:${port.port}`))
  }
  return list.length ? joinFirst(list) : none
}

const problems = (field: string, value: string | undefined, rule: (text: string) => string[]): FieldError[] =>
  value ? rule(value).map((problem) => invalidValue(field, value, problem)) : []

const validateAddress = (address: any, at: string): FieldError[] => [
  ...checkEndpointAddress(`${at}.ip`, address.ip),
  ...problems(`${at}.hostname`, address.hostname, dnsLabelProblems),
  ...problems(`${at}.nodeName`, address.nodeName, dnsSubdomainProblems),
]

const validatePort = (port: any, at: string, needsName: boolean): FieldError[] => [
  ...(needsName && !port.name ? [requiredValue(`${at}.name`)] : problems(`${at}.name`, port.name, dnsLabelProblems)),
  ...checkPort(`${at}.port`, port.port),
  ...problems(`${at}.appProtocol`, port.appProtocol, qualifiedNameProblems),
]

/** pkg/apis/core/validation, validateEndpointSubsets (1.36). */
function validateSubset({ addresses: ready = [], notReadyAddresses = [], ports = [] }: any, at: string): FieldError[] {
  const errors: FieldError[] = []
  if (ready.length === 0 && notReadyAddresses.length === 0)
    errors.push(requiredValue(at, 'must specify `addresses` or `notReadyAddresses`'))
  for (const [index, address] of ready.entries()) errors.push(...validateAddress(address, `${at}.addresses[${index}]`))
  for (const [index, address] of notReadyAddresses.entries())
    errors.push(...validateAddress(address, `${at}.notReadyAddresses[${index}]`))
  for (const [index, port] of ports.entries())
    errors.push(...validatePort(port, `${at}.ports[${index}]`, ports.length > 1))
  return errors
}

export const endpoints = defineKind({
  group: '',
  version: 'v1',
  kind: 'Endpoints',
  plural: 'endpoints',
  singular: 'endpoints',
  shortNames: ['ep'],
  scope: 'Namespaced',
  schema: schemaOf('core.v1.Endpoints'),
  types,
  columns: [text('Endpoints', addresses), ageColumn],
  validate: ({ subsets = [] }) =>
    subsets.flatMap((subset: any, index: number) => validateSubset(subset, `subsets[${index}]`)),
  deprecation: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
  example: {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { name: 'web', namespace: 'default' },
    subsets: [{ addresses: [{ ip: '10.1.0.5' }], ports: [{ name: 'http', port: 80 }] }],
  },
})
