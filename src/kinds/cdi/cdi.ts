// CDI: upstream's switch for its operator. Here it is always on, and holds the settings that people make.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import { configWarnings, validateConfig } from './config-rules.ts'

/** Of an operator and its Pods, which are not here. */
const idle = [
  'imagePullPolicy',
  'infra',
  'workload',
  'customizeComponents',
  'certConfig',
  'priorityClass',
  'uninstallStrategy',
]

const validate = ({ spec }: ApiObject): FieldError[] => validateConfig(spec?.config, 'spec.config')

export const cdi = defineKind({
  group: 'cdi.kubevirt.io',
  version: 'v1beta1',
  kind: 'CDI',
  plural: 'cdis',
  singular: 'cdi',
  shortNames: ['cdi', 'cdis'],
  scope: 'Cluster',
  protobuf: false,
  schema: schemaOf('cdi.v1beta1.CDI'),
  types,
  columns: [ageColumn, text('Phase', (object) => object.status?.phase ?? '')],
  validate,
  warnings: ({ spec }) => [
    ...idle
      .filter((name) => spec?.[name] !== undefined && Object.keys(Object(spec[name])).length > 0)
      .map((name) => `spec.${name} has no effect: Tandem fills volumes itself, there are no Pods of CDI`),
    ...configWarnings(spec?.config, 'spec.config'),
  ],
  example: {
    apiVersion: 'cdi.kubevirt.io/v1beta1',
    kind: 'CDI',
    metadata: { name: 'cdi' },
    spec: { config: { uploadProxyURLOverride: 'https://uploads.example.com' } },
  },
})
