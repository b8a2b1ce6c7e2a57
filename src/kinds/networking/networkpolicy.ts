// NetworkPolicy: which Pods and VMs may talk with which others (pkg/apis/networking, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { validateSelector } from '../../api/selector.ts'
import { ageColumn } from '../../api/table.ts'
import { forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { none, specSelectorText, text } from '../columns.ts'
import { checkRange, isStrictlyInside, parseRange } from '../rules/addresses.ts'
import { checkPort, checkPortOrName } from '../rules/names.ts'
import { schemaOf, types } from '../types.ts'

const listOf = (value: unknown): any[] => (Array.isArray(value) ? value : [])

function defaults({ spec }: ApiObject): void {
  if (!spec) return
  for (const rule of [...listOf(spec.ingress), ...listOf(spec.egress)])
    for (const port of listOf(rule?.ports)) if (port) port.protocol ??= 'TCP'
  if (spec.policyTypes?.length) return
  spec.policyTypes = spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress']
}

function validatePort(port: any, path: string): FieldError[] {
  if (port.port === undefined)
    return port.endPort === undefined
      ? []
      : [invalidValue(`${path}.endPort`, port.endPort, 'may not be specified when `port` is not specified')]
  const errors = checkPortOrName(`${path}.port`, port.port)
  if (port.endPort === undefined) return errors
  if (typeof port.port === 'string')
    return [...errors, invalidValue(`${path}.endPort`, port.endPort, 'may not be specified when `port` is non-numeric')]
  if (port.endPort < port.port)
    errors.push(invalidValue(`${path}.endPort`, port.port, 'must be greater than or equal to `port`'))
  return [...errors, ...checkPort(`${path}.endPort`, port.endPort)]
}

function validateBlock(block: any, path: string): FieldError[] {
  if (!block.cidr) return [requiredValue(`${path}.cidr`)]
  const errors = checkRange(`${path}.cidr`, block.cidr)
  const outer = parseRange(block.cidr)
  listOf(block.except).forEach((except, index) => {
    errors.push(...checkRange(`${path}.except[${index}]`, except))
    const inner = parseRange(String(except))
    if (outer && inner && !isStrictlyInside(inner, outer))
      errors.push(invalidValue(`${path}.except[${index}]`, except, 'must be a strict subset of `cidr`'))
  })
  return errors
}

function validatePeer(peer: any, path: string): FieldError[] {
  const given = ['podSelector', 'namespaceSelector', 'ipBlock'].filter((name) => peer?.[name] !== undefined)
  if (given.length === 0) return [requiredValue(path, 'must specify a peer')]
  const errors = [
    ...validateSelector(peer.podSelector, `${path}.podSelector`),
    ...validateSelector(peer.namespaceSelector, `${path}.namespaceSelector`),
    ...(peer.ipBlock ? validateBlock(peer.ipBlock, `${path}.ipBlock`) : []),
  ]
  if (peer.ipBlock && given.length > 1) errors.push(forbidden(path, 'may not specify both ipBlock and another peer'))
  return errors
}

function validateRules(rules: any[], direction: string, peers: string): FieldError[] {
  return rules.flatMap((rule, index) => {
    const path = `spec.${direction}[${index}]`
    return [
      ...listOf(rule?.ports).flatMap((port, at) => validatePort(port ?? {}, `${path}.ports[${at}]`)),
      ...listOf(rule?.[peers]).flatMap((peer, at) => validatePeer(peer, `${path}.${peers}[${at}]`)),
    ]
  })
}

function validate({ spec = {} }: ApiObject): FieldError[] {
  const errors = [
    ...validateSelector(spec.podSelector, 'spec.podSelector'),
    ...validateRules(listOf(spec.ingress), 'ingress', 'from'),
    ...validateRules(listOf(spec.egress), 'egress', 'to'),
  ]
  const chosen = listOf(spec.policyTypes)
  if (chosen.length > 2)
    return [...errors, invalidValue('spec.policyTypes', chosen, 'may not specify more than two policyTypes')]
  chosen.forEach((type, index) => {
    if (type !== 'Ingress' && type !== 'Egress')
      errors.push(notSupported(`spec.policyTypes[${index}]`, type, ['Ingress', 'Egress']))
  })
  return errors
}

export const networkPolicy = defineKind({
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'NetworkPolicy',
  plural: 'networkpolicies',
  singular: 'networkpolicy',
  shortNames: ['netpol'],
  scope: 'Namespaced',
  schema: schemaOf('networking.v1.NetworkPolicy'),
  types,
  columns: [text('Pod-Selector', ({ spec }) => specSelectorText(spec?.podSelector) || none), ageColumn],
  defaults,
  validate,
  example: {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'only-web', namespace: 'default' },
    spec: {
      podSelector: { matchLabels: { app: 'db' } },
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }], ports: [{ protocol: 'TCP', port: 5432 }] }],
    },
  },
})
