// ResourceClaimTemplate: the ResourceClaims that Pods get, each its own.

import { defineKind } from '../../api/kind.ts'
import { ageColumn } from '../../api/table.ts'
import { immutable } from '../rules/field.ts'
import { storedOnly } from '../rules/warnings.ts'
import { schemaOf, types } from '../types.ts'
import { defaultRequests, noDevices, validateDeviceClaim } from './device-rules.ts'

export const resourceClaimTemplate = defineKind({
  group: 'resource.k8s.io',
  version: 'v1',
  kind: 'ResourceClaimTemplate',
  plural: 'resourceclaimtemplates',
  singular: 'resourceclaimtemplate',
  scope: 'Namespaced',
  schema: schemaOf('resource.v1.ResourceClaimTemplate'),
  types,
  hasGeneration: false,
  columns: [ageColumn],
  defaults: ({ spec }) => defaultRequests(spec?.spec?.devices),
  validate: ({ spec = {} }, old) =>
    old ? immutable('spec', spec, old.spec) : validateDeviceClaim(spec.spec?.devices, 'spec.spec.devices'),
  warnings: storedOnly('ResourceClaimTemplate', noDevices),
  example: {
    apiVersion: 'resource.k8s.io/v1',
    kind: 'ResourceClaimTemplate',
    metadata: { name: 'gpu', namespace: 'default' },
    spec: {
      spec: { devices: { requests: [{ name: 'gpu', exactly: { deviceClassName: 'gpu.example.com' } }] } },
    },
  },
})
