// CDIConfig: what is in force. `virtctl image-upload` finds here where to upload to.

import { defineKind } from '../../api/kind.ts'
import { ageColumn } from '../../api/table.ts'
import { schemaOf, types } from '../types.ts'
import { configWarnings, validateConfig } from './config-rules.ts'

export const cdiConfig = defineKind({
  group: 'cdi.kubevirt.io',
  version: 'v1beta1',
  kind: 'CDIConfig',
  plural: 'cdiconfigs',
  singular: 'cdiconfig',
  scope: 'Cluster',
  protobuf: false,
  schema: schemaOf('cdi.v1beta1.CDIConfig'),
  types,
  columns: [ageColumn],
  validate: ({ spec }) => validateConfig(spec, 'spec'),
  warnings: ({ spec }) => configWarnings(spec, 'spec'),
  example: {
    apiVersion: 'cdi.kubevirt.io/v1beta1',
    kind: 'CDIConfig',
    metadata: { name: 'config' },
    spec: { preallocation: false },
    status: { uploadProxyURL: '127.0.0.1:6443', filesystemOverhead: { global: '0.06' } },
  },
})
