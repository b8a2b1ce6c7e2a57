// DeviceClass: a kind of device that claims may ask for by name.

import { defineKind } from '../../api/kind.ts'
import { qualifiedNameProblems } from '../../api/names.ts'
import { ageColumn } from '../../api/table.ts'
import { invalidValue } from '../../api/walk/rules.ts'
import { storedOnly } from '../rules/warnings.ts'
import { schemaOf, types } from '../types.ts'
import { noDevices, validateConfiguration, validateSelectors } from './device-rules.ts'
import { listOf, validateList } from './names.ts'

const isExtended = (name: string): boolean =>
  name.includes('/') && !name.includes('kubernetes.io/') && qualifiedNameProblems(name).length === 0

export const deviceClass = defineKind({
  group: 'resource.k8s.io',
  version: 'v1',
  kind: 'DeviceClass',
  plural: 'deviceclasses',
  singular: 'deviceclass',
  scope: 'Cluster',
  schema: schemaOf('resource.v1.DeviceClass'),
  types,
  columns: [ageColumn],
  validate: ({ spec = {} }) => [
    ...validateSelectors(spec.selectors, 'spec.selectors'),
    ...validateList(listOf(spec.config), 32, 'spec.config', validateConfiguration),
    ...(spec.extendedResourceName === undefined || isExtended(spec.extendedResourceName)
      ? []
      : [
          invalidValue(
            'spec.extendedResourceName',
            spec.extendedResourceName,
            'must be a valid extended resource name',
          ),
        ]),
  ],
  warnings: storedOnly('DeviceClass', noDevices),
  example: {
    apiVersion: 'resource.k8s.io/v1',
    kind: 'DeviceClass',
    metadata: { name: 'gpu.example.com' },
    spec: { selectors: [{ cel: { expression: "device.driver == 'gpu.example.com'" } }] },
  },
})
