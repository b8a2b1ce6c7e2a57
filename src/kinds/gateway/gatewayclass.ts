// GatewayClass: who serves the Gateways that name it.

import { defineKind } from '../../api/kind.ts'
import { ageColumn } from '../../api/table.ts'
import { text } from '../columns.ts'
import { immutable } from '../rules/field.ts'
import { schemaOf, types } from '../types.ts'
import { conditionStatus } from './condition-column.ts'

export const gatewayClass = defineKind({
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  kind: 'GatewayClass',
  plural: 'gatewayclasses',
  singular: 'gatewayclass',
  shortNames: ['gc'],
  categories: ['gateway-api'],
  scope: 'Cluster',
  protobuf: false,
  schema: schemaOf('gateway.v1.GatewayClass'),
  types,
  subresources: { status: true },
  columns: [
    text('Controller', ({ spec }) => spec?.controllerName ?? ''),
    conditionStatus('Accepted'),
    ageColumn,
    text('Description', ({ spec }) => spec?.description ?? '', 1),
  ],
  validate: ({ spec }, old) =>
    old ? immutable('spec.controllerName', spec?.controllerName, old.spec?.controllerName) : [],
  example: {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'GatewayClass',
    metadata: { name: 'tandem' },
    spec: { controllerName: 'tandem.dev/gateway' },
  },
})
