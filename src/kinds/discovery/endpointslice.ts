// EndpointSlice: the addresses behind a Service.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { isIPv4, isIPv6 } from '../../api/walk/formats.ts'
import { invalidValue, notSupported, requiredValue, tooMany } from '../../api/walk/rules.ts'
import { joinFirst, text, unset } from '../columns.ts'
import { immutable } from '../rules/field.ts'
import { schemaOf, types } from '../types.ts'

const mostEndpoints = 1000
const mostPorts = 100

function validate(object: ApiObject, old?: ApiObject): FieldError[] {
  const { addressType, endpoints = [], ports = [] } = object
  const errors: FieldError[] = []
  if (!addressType) errors.push(requiredValue('addressType'))
  else if (!['FQDN', 'IPv4', 'IPv6'].includes(addressType))
    errors.push(notSupported('addressType', addressType, ['FQDN', 'IPv4', 'IPv6']))
  if (endpoints.length > mostEndpoints) errors.push(tooMany('endpoints', endpoints.length, mostEndpoints))
  if (ports.length > mostPorts) errors.push(tooMany('ports', ports.length, mostPorts))
  for (const [index, endpoint] of endpoints.entries())
    errors.push(...validateAddresses(endpoint.addresses ?? [], addressType, `endpoints[${index}].addresses`))
  return old ? [...errors, ...immutable('addressType', addressType, old.addressType)] : errors
}

function validateAddresses(addresses: string[], type: string, field: string): FieldError[] {
  if (addresses.length === 0) return [requiredValue(field, 'must contain at least 1 address')]
  const errors: FieldError[] = []
  for (const [index, address] of addresses.entries()) {
    if (type === 'IPv4' && !isIPv4(address))
      errors.push(invalidValue(`${field}[${index}]`, address, 'must be an IPv4 address'))
    if (type === 'IPv6' && !isIPv6(address))
      errors.push(invalidValue(`${field}[${index}]`, address, 'must be an IPv6 address'))
  }
  return errors
}

function ports({ ports: list }: ApiObject): string {
  if (!list?.length) return unset
  return joinFirst(list.map((port: any) => (port.port === undefined ? '*' : String(port.port))))
}

function addresses({ endpoints = [] }: ApiObject): string {
  const list: string[] = endpoints.flatMap((endpoint: any) => endpoint.addresses ?? [])
  return list.length ? joinFirst(list) : unset
}

export const endpointSlice = defineKind({
  group: 'discovery.k8s.io',
  version: 'v1',
  kind: 'EndpointSlice',
  plural: 'endpointslices',
  singular: 'endpointslice',
  scope: 'Namespaced',
  schema: schemaOf('discovery.v1.EndpointSlice'),
  types,
  hasGeneration: true,
  columns: [
    text('AddressType', (object) => object.addressType ?? ''),
    text('Ports', ports),
    text('Endpoints', addresses),
    ageColumn,
  ],
  validate,
  example: {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'web-x7k2p', namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.1.0.5'], conditions: { ready: true } }],
    ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
  },
})
