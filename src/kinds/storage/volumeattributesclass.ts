// VolumeAttributesClass: how fast or how safe a driver's volume is, changeable while it exists.

import { defineKind } from '../../api/kind.ts'
import { ageColumn } from '../../api/table.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { storedOnly } from '../rules/warnings.ts'
import { schemaOf, types } from '../types.ts'
import { validateParameters, validateProvisioner } from './driver-rules.ts'

export const volumeAttributesClass = defineKind({
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'VolumeAttributesClass',
  plural: 'volumeattributesclasses',
  singular: 'volumeattributesclass',
  shortNames: ['vac'],
  scope: 'Cluster',
  schema: schemaOf('storage.v1.VolumeAttributesClass'),
  types,
  columns: [text('DriverName', (object) => object.driverName ?? ''), ageColumn],
  validate: (object, old) => [
    ...['driverName', 'parameters']
      .filter((field) => old && !equalJson(object[field], old[field]))
      .map((field) => forbidden(field, `updates to ${field} are forbidden.`)),
    ...validateProvisioner(object.driverName, 'driverName'),
    ...validateParameters(object.parameters, true),
  ],
  warnings: storedOnly('VolumeAttributesClass', 'no driver is here that could change the attributes of a volume'),
  example: {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'VolumeAttributesClass',
    metadata: { name: 'fast' },
    driverName: 'disks.example.com',
    parameters: { iops: '4000' },
  },
})
