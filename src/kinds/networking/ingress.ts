// Ingress: names and paths of HTTP from outside, and the Services behind them.

import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { none, text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import { usesClassAnnotation, validateIngress } from './ingress-rules.ts'

function hosts({ spec }: ApiObject): string {
  const rules: { host?: string }[] = spec?.rules ?? []
  const named = rules.map((rule) => rule.host).filter(Boolean)
  if (named.length === 0) return '*'
  const shown = named.slice(0, 3).join(',')
  // Upstream counts the rules that come after the third name, whether they have a name or not.
  return named.length >= 3 && rules.length > 3 ? `${shown} + ${rules.length - 3} more...` : shown
}

function addresses({ status }: ApiObject): string {
  const entries: { ip?: string; hostname?: string }[] = status?.loadBalancer?.ingress ?? []
  return [...new Set(entries.map((entry) => entry.ip || entry.hostname).filter(Boolean))].sort().join(',')
}

export const ingress = defineKind({
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'Ingress',
  plural: 'ingresses',
  singular: 'ingress',
  shortNames: ['ing'],
  scope: 'Namespaced',
  schema: schemaOf('networking.v1.Ingress'),
  types,
  subresources: { status: true },
  columns: [
    text('Class', ({ spec }) => spec?.ingressClassName ?? none),
    text('Hosts', hosts),
    text('Address', addresses),
    text('Ports', ({ spec }) => (spec?.tls?.length ? '80, 443' : '80')),
    ageColumn,
  ],
  validate: validateIngress,
  warnings: usesClassAnnotation,
  example: {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name: 'shop', namespace: 'default' },
    spec: {
      rules: [
        {
          host: 'shop.example.com',
          http: {
            paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'shop', port: { number: 80 } } } }],
          },
        },
      ],
    },
  },
})
