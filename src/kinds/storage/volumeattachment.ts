// VolumeAttachment: a driver's volume that shall be attached to a node, and whether it is.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dnsSubdomainProblems } from '../../api/names.ts'
import { ageColumn } from '../../api/table.ts'
import { forbidden, invalidValue, requiredValue, tooLong } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { validateDriverName } from '../rules/drivers.ts'
import { immutable } from '../rules/field.ts'
import { storedOnly } from '../rules/warnings.ts'
import { schemaOf, types } from '../types.ts'
import { noDriver } from './driver-rules.ts'

const one = 'must specify exactly one of inlineVolumeSpec and persistentVolumeName'
const mostMetadata = 256 * 1024
const longestMessage = 1024

function validateSource(source: any): FieldError[] {
  const field = 'spec.source'
  const { inlineVolumeSpec: inline, persistentVolumeName: name } = source ?? {}
  if (inline === undefined && name === undefined) return [requiredValue(field, one)]
  if (inline !== undefined && name !== undefined) return [forbidden(field, one)]
  if (name === '')
    return [requiredValue(`${field}.persistentVolumeName`, 'must specify non empty persistentVolumeName')]
  if (name === undefined) return []
  return dnsSubdomainProblems(name).map((problem) => invalidValue(`${field}.persistentVolumeName`, name, problem))
}

function validateStatus(status: any): FieldError[] {
  const errors: FieldError[] = []
  const metadata = Object.entries(status?.attachmentMetadata ?? {})
  if (metadata.reduce((sum, [key, value]) => sum + key.length + String(value).length, 0) > mostMetadata)
    errors.push(tooLong('status.attachmentMetadata', mostMetadata))
  for (const name of ['attachError', 'detachError']) {
    if (status?.[name]?.message?.length > longestMessage) errors.push(tooLong(`status.${name}.message`, longestMessage))
    if (status?.[name]?.errorCode < 0)
      errors.push(
        invalidValue(`status.${name}.errorCode`, status[name].errorCode, 'must be between 0 and 2147483647, inclusive'),
      )
  }
  return errors
}

function validate({ spec = {}, status }: ApiObject, old?: ApiObject): FieldError[] {
  return [
    ...validateDriverName(spec.attacher, 'spec.attacher'),
    ...validateSource(spec.source),
    ...dnsSubdomainProblems(spec.nodeName ?? '').map((problem) =>
      invalidValue('spec.nodeName', spec.nodeName, problem),
    ),
    ...validateStatus(status),
    ...(old ? immutable('spec', spec, old.spec) : []),
  ]
}

export const volumeAttachment = defineKind({
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'VolumeAttachment',
  plural: 'volumeattachments',
  singular: 'volumeattachment',
  scope: 'Cluster',
  schema: schemaOf('storage.v1.VolumeAttachment'),
  types,
  subresources: { status: true },
  hasGeneration: false,
  columns: [
    text('Attacher', ({ spec }) => spec?.attacher ?? ''),
    text('PV', ({ spec }) => spec?.source?.persistentVolumeName ?? ''),
    text('Node', ({ spec }) => spec?.nodeName ?? ''),
    { name: 'Attached', type: 'boolean', value: ({ status }) => status?.attached ?? false },
    ageColumn,
  ],
  defaults(object) {
    object.status ??= {}
    object.status.attached ??= false
  },
  validate,
  warnings: storedOnly('VolumeAttachment', noDriver),
  example: {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'VolumeAttachment',
    metadata: { name: 'disk-1-machine' },
    spec: { attacher: 'disks.example.com', nodeName: 'machine', source: { persistentVolumeName: 'disk-1' } },
  },
})
