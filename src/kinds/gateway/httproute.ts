// HTTPRoute: which requests at a Gateway go to which Services, and what is changed on the way.

import { defineKind } from '../../api/kind.ts'
import { ageColumn } from '../../api/table.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import { validateRoute } from './route-rules.ts'

export const httpRoute = defineKind({
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  kind: 'HTTPRoute',
  plural: 'httproutes',
  singular: 'httproute',
  categories: ['gateway-api'],
  scope: 'Namespaced',
  protobuf: false,
  schema: schemaOf('gateway.v1.HTTPRoute'),
  types,
  subresources: { status: true },
  columns: [text('Hostnames', ({ spec }) => (spec?.hostnames ? JSON.stringify(spec.hostnames) : '')), ageColumn],
  validate: validateRoute,
  example: {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: 'shop', namespace: 'default' },
    spec: {
      parentRefs: [{ name: 'web' }],
      hostnames: ['shop.example.com'],
      rules: [{ matches: [{ path: { type: 'PathPrefix', value: '/' } }], backendRefs: [{ name: 'shop', port: 80 }] }],
    },
  },
})
