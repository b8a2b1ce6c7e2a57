// EndpointSlice: the addresses behind a Service.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dnsLabelProblems, dnsSubdomainProblems, labelValueProblems, qualifiedNameProblems } from '../../api/names.ts'
import { ageColumn } from '../../api/table.ts'
import { invalidValue, notSupported, requiredValue, tooMany } from '../../api/walk/rules.ts'
import { joinFirst, text, unset } from '../columns.ts'
import { addressNumber } from '../rules/addresses.ts'
import { checkEndpointAddress } from '../rules/endpoint-address.ts'
import { immutable, uniqueNames } from '../rules/field.ts'
import { schemaOf, types } from '../types.ts'

const mostEndpoints = 1000
const mostPorts = 100
const mostAddresses = 100
const mostHints = 8
const addressTypes = ['FQDN', 'IPv4', 'IPv6']

function validate(object: ApiObject, old?: ApiObject): FieldError[] {
  const { addressType, endpoints = [], ports: list = [] } = object
  const errors: FieldError[] = []
  if (!addressType) errors.push(requiredValue('addressType'))
  else if (!addressTypes.includes(addressType)) errors.push(notSupported('addressType', addressType, addressTypes))
  if (list.length > mostPorts) errors.push(tooMany('ports', list.length, mostPorts))
  else errors.push(...uniqueNames('ports', list), ...list.flatMap(validatePort))
  if (endpoints.length > mostEndpoints) errors.push(tooMany('endpoints', endpoints.length, mostEndpoints))
  else
    for (const [index, endpoint] of endpoints.entries()) errors.push(...validateEndpoint(endpoint, addressType, index))
  return old ? [...errors, ...immutable('addressType', addressType, old.addressType)] : errors
}

const problems = (field: string, value: string | undefined, rule: (text: string) => string[]): FieldError[] =>
  value ? rule(value).map((problem) => invalidValue(field, value, problem)) : []

const validatePort = (port: any, index: number): FieldError[] => [
  ...problems(`ports[${index}].name`, port.name, dnsLabelProblems),
  ...problems(`ports[${index}].appProtocol`, port.appProtocol, qualifiedNameProblems),
]

const validateEndpoint = (endpoint: any, type: string, index: number): FieldError[] => [
  ...validateAddresses(endpoint.addresses ?? [], type, `endpoints[${index}].addresses`),
  ...problems(`endpoints[${index}].nodeName`, endpoint.nodeName, dnsSubdomainProblems),
  ...problems(`endpoints[${index}].hostname`, endpoint.hostname, dnsLabelProblems),
  ...validateHints(endpoint.hints?.forZones ?? [], `endpoints[${index}].hints.forZones`, labelValueProblems),
  ...validateHints(endpoint.hints?.forNodes ?? [], `endpoints[${index}].hints.forNodes`, dnsSubdomainProblems),
]

function validateHints(hints: { name: string }[], at: string, rule: (text: string) => string[]): FieldError[] {
  if (hints.length > mostHints) return [tooMany(at, hints.length, mostHints)]
  return [
    ...uniqueNames(at, hints),
    ...hints.flatMap(({ name }, index) => problems(`${at}[${index}].name`, name, rule)),
  ]
}

function validateAddresses(addresses: string[], type: string, field: string): FieldError[] {
  if (addresses.length === 0) return [requiredValue(field, 'must contain at least 1 address')]
  if (addresses.length > mostAddresses) return [tooMany(field, addresses.length, mostAddresses)]
  return addresses.flatMap((address, index) => {
    const at = `${field}[${index}]`
    if (type === 'FQDN') return problems(at, address.replace(/\.$/, ''), dnsSubdomainProblems)
    const family = type === 'IPv4' ? 4 : 6
    const number = addressNumber(address)
    const wrong = number && number.family !== family
    return [
      ...(wrong ? [invalidValue(field, address, `must be an ${type} address`)] : []),
      ...checkEndpointAddress(at, address),
    ]
  })
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
