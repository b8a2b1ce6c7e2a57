// Gateway: ports and names at which HTTP from outside is taken in, and whose routes may use them.

import { defineKind } from '../../api/kind.ts'
import { ageColumn } from '../../api/table.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import { conditionStatus } from './condition-column.ts'
import { validateGateway, whatHasNoEffect } from './gateway-rules.ts'

export const gateway = defineKind({
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  kind: 'Gateway',
  plural: 'gateways',
  singular: 'gateway',
  shortNames: ['gtw'],
  categories: ['gateway-api'],
  scope: 'Namespaced',
  protobuf: false,
  schema: schemaOf('gateway.v1.Gateway'),
  types,
  subresources: { status: true },
  columns: [
    text('Class', ({ spec }) => spec?.gatewayClassName ?? ''),
    text('Address', ({ status }) => (status?.addresses ?? []).map(({ value }: { value: string }) => value).join(',')),
    conditionStatus('Programmed'),
    ageColumn,
  ],
  validate: validateGateway,
  warnings: whatHasNoEffect,
  example: {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      gatewayClassName: 'tandem',
      listeners: [{ name: 'http', port: 80, protocol: 'HTTP', allowedRoutes: { namespaces: { from: 'Same' } } }],
    },
  },
})
