// DataImportCron: looks at a schedule whether an image is new, and imports it for a DataSource.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden, invalidValue } from '../../api/walk/rules.ts'
import { parseCronSchedule } from '../batch/cron-schedule.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import { validateDataVolumeSpec } from './data-volume-rules.ts'

const wrong = (field: string, detail: string, value: unknown = ''): FieldError[] => [invalidValue(field, value, detail)]

/** Order and texts: CDI 1.65 (pkg/apiserver/webhooks/dataimportcron-validate.go). */
function validate({ spec }: ApiObject, old?: ApiObject): FieldError[] {
  if (old)
    return equalJson(spec, old.spec) ? [] : [forbidden('DataImportCron.Spec', 'Cannot update DataImportCron Spec')]
  const template = spec?.template?.spec
  if (!template?.source?.registry && !template?.source?.pvc) return wrong('spec.Template', 'Missing source')
  if (template.sourceRef || template.contentType || template.checkpoints?.length || template.finalCheckpoint)
    return wrong('spec.Template', 'Unsettable fields: SourceRef, ContentType, Checkpoints, FinalCheckpoint')
  const found = validateDataVolumeSpec(template, 'spec.template.spec')
  if (found.length > 0) return found
  if (spec.schedule && !isSchedule(spec.schedule)) return wrong('spec.Schedule', 'Illegal cron schedule', spec.schedule)
  if ((spec.importsToKeep ?? 0) < 0)
    return wrong('spec.ImportsToKeep', 'Illegal ImportsToKeep value', spec.importsToKeep)
  if (spec.garbageCollect && !['Never', 'Outdated'].includes(spec.garbageCollect))
    return wrong('spec.GarbageCollect', 'Illegal GarbageCollect value', spec.garbageCollect)
  if (!spec.managedDataSource) return wrong('spec.ManagedDataSource', 'Illegal ManagedDataSource value')
  if (spec.managedDataSource.length > 63)
    return wrong('', 'Name cannot be longer than 63 characters', spec.managedDataSource)
  if (spec.retentionPolicy && !['None', 'All'].includes(spec.retentionPolicy))
    return wrong('spec.retentionPolicy', 'Illegal RetentionPolicy value', spec.retentionPolicy)
  return []
}

function isSchedule(text: string): boolean {
  try {
    parseCronSchedule(text)
    return true
  } catch {
    return false
  }
}

export const dataImportCron = defineKind({
  group: 'cdi.kubevirt.io',
  version: 'v1beta1',
  kind: 'DataImportCron',
  plural: 'dataimportcrons',
  singular: 'dataimportcron',
  shortNames: ['dic', 'dics'],
  categories: ['all'],
  scope: 'Namespaced',
  protobuf: false,
  schema: schemaOf('cdi.v1beta1.DataImportCron'),
  types,
  columns: [text('Format', (object) => object.status?.sourceFormat ?? '')],
  validate,
  example: {
    apiVersion: 'cdi.kubevirt.io/v1beta1',
    kind: 'DataImportCron',
    metadata: { name: 'debian', namespace: 'default' },
    spec: {
      schedule: '30 1 * * 1',
      managedDataSource: 'debian',
      template: {
        spec: {
          source: { registry: { url: 'docker://example.com/disks/debian:12' } },
          storage: { resources: { requests: { storage: '5Gi' } } },
        },
      },
    },
  },
})
