// Rules for a DataVolume's spec, alone, in a template of a VirtualMachine and in a DataImportCron. Texts and order: CDI
// 1.65 (pkg/apiserver/webhooks/datavolume-validate.go).

import type { FieldError } from '../../api/errors.ts'
import { parseQuantity, quantityValue, tryParseQuantity } from '../../api/quantity.ts'
import { forbidden, invalidValue } from '../../api/walk/rules.ts'
import { validateSource } from './source-rules.ts'

const mebibyte = 1024n * 1024n
const modes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod']

const wrong = (field: string, detail: string, value: unknown = ''): FieldError[] => [invalidValue(field, value, detail)]

export function validateDataVolumeSpec(spec: any, field: string): FieldError[] {
  if (!spec?.pvc && !spec?.storage) return wrong(`${field}.PVC`, 'Missing Data volume PVC')
  if (spec.pvc && spec.storage)
    return wrong(`${field}.PVC.Storage`, 'Duplicate storage definition, both target storage and target pvc defined')
  const found = [...validateSize(spec, field), ...validateModes(spec, field)]
  if (found.length > 0) return found.slice(0, 1)
  return [...validateOrigin(spec, field), ...refused(spec, field)]
}

function validateOrigin(spec: any, field: string): FieldError[] {
  const { dataSource, dataSourceRef } = spec.pvc ?? spec.storage
  if (dataSource || dataSourceRef)
    return spec.source || spec.sourceRef
      ? wrong(`${field}.source`, 'External population is incompatible with Source and SourceRef')
      : []
  if (Boolean(spec.source) === Boolean(spec.sourceRef))
    return wrong(`${field}.source`, 'Data volume should have either Source or SourceRef, or be externally populated')
  return spec.sourceRef
    ? validateSourceRef(spec.sourceRef, field)
    : validateSource(spec.source, spec.contentType, field)
}

function validateSourceRef({ kind, name }: any, field: string): FieldError[] {
  const at = `${field}.sourceRef`
  if (!kind) return wrong(`${at}.Kind`, 'Missing sourceRef kind')
  if (kind !== 'DataSource')
    return wrong(`${at}.Kind`, `Unsupported sourceRef kind ${kind}, currently only DataSource is supported`, kind)
  return name ? [] : wrong(`${at}.Name`, 'Missing sourceRef name')
}

function validateSize(spec: any, field: string): FieldError[] {
  const name = spec.pvc ? 'PVC' : 'Storage'
  const at = `${field}.${name}.resources.requests.size`
  const asked = (spec.pvc ?? spec.storage).resources?.requests?.storage
  const isClone = spec.sourceRef || spec.source?.pvc || spec.source?.snapshot
  const populated = (spec.pvc ?? spec.storage).dataSource || (spec.pvc ?? spec.storage).dataSourceRef
  if (asked === undefined) return spec.storage && (isClone || populated) ? [] : wrong(at, `${name} size is missing`)
  if (!tryParseQuantity(String(asked))) return []
  const bytes = BigInt(quantityValue(parseQuantity(String(asked))))
  if (bytes <= 0n) return wrong(at, `${name} size can't be equal or less than zero`, String(asked))
  return bytes < mebibyte ? wrong(at, `${name} size should be at least 1MiB`, String(asked)) : []
}

function validateModes(spec: any, field: string): FieldError[] {
  const at = `${field}.PVC.accessModes`
  const asked: string[] = (spec.pvc ?? spec.storage).accessModes ?? []
  if (spec.pvc && asked.length === 0) return wrong(at, 'Required value: at least 1 access mode is required')
  if (spec.pvc && asked.length > 1) return wrong(at, 'PVC multiple accessModes', asked.join(', '))
  const stranger = asked.find((mode) => !modes.includes(mode))
  return stranger === undefined
    ? []
    : wrong(at, `Unsupported value: "${stranger}": supported values: ${modes.map((mode) => `"${mode}"`).join(', ')}`)
}

/** What upstream has and Tandem does not do. */
function refused(spec: any, field: string): FieldError[] {
  if (spec.checkpoints?.length || spec.finalCheckpoint)
    return [forbidden(`${field}.checkpoints`, 'there are no multi-stage imports here')]
  return []
}

/** No Pod does the work, so what is said of that Pod does nothing. */
export function dataVolumeWarnings(spec: any, field: string): string[] {
  return ['priorityClassName', 'serviceAccountName']
    .filter((name) => spec?.[name])
    .map((name) => `${field}.${name} has no effect: Tandem itself fills volumes, without a Pod`)
}
