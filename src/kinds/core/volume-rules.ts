// Rules for the volumes of a Pod (pkg/apis/core/validation, Kubernetes 1.36). Sources that Tandem cannot mount are
// refused by name: a Pod that waits for ever says less than an error.

import type { FieldError } from '../../api/errors.ts'
import { dnsLabelProblems } from '../../api/names.ts'
import { tryParseQuantity } from '../../api/quantity.ts'
import { forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { uniqueNames } from '../rules/field.ts'
import { checkName } from '../rules/names.ts'
import { validateLocalPath } from './local-path.ts'
import { validateResourceField } from './resource-rules.ts'

const supported = [
  ...['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'hostPath', 'image', 'persistentVolumeClaim'],
  ...['projected', 'secret'],
]
const hostPathTypes = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
]

export function validateVolumes(volumes: any[] = [], field: string): FieldError[] {
  const errors = uniqueNames(field, volumes)
  volumes.forEach((volume, index) => {
    const at = `${field}[${index}]`
    errors.push(...checkName(`${at}.name`, volume.name, dnsLabelProblems))
    const sources = Object.keys(volume).filter((key) => key !== 'name' && volume[key] !== undefined)
    if (sources.length === 0) errors.push(requiredValue(at, 'must specify a volume type'))
    for (const extra of sources.slice(1))
      errors.push(forbidden(`${at}.${extra}`, 'may not specify more than 1 volume type'))
    const [source] = sources
    if (source) errors.push(...validateSource(source, volume[source], `${at}.${source}`))
  })
  return errors
}

function validateSource(kind: string, source: any, field: string): FieldError[] {
  // Those that no driver is here for are refused by the table of what is not supported.
  if (!supported.includes(kind)) return []
  if (kind === 'configMap') return source.name ? validateItems(source, field) : [requiredValue(`${field}.name`)]
  if (kind === 'secret')
    return source.secretName ? validateItems(source, field) : [requiredValue(`${field}.secretName`)]
  if (kind === 'persistentVolumeClaim') return source.claimName ? [] : [requiredValue(`${field}.claimName`)]
  if (kind === 'hostPath') return validateHostPath(source, field)
  if (kind === 'downwardAPI') return validateDownward(source, field)
  if (kind === 'projected') return validateProjected(source, field)
  if (kind === 'emptyDir') return validateEmptyDir(source, field)
  if (kind === 'image') return source.reference ? [] : [requiredValue(`${field}.reference`)]
  if (kind === 'csi') return source.driver ? [] : [requiredValue(`${field}.driver`)]
  return source.volumeClaimTemplate?.spec ? [] : [requiredValue(`${field}.volumeClaimTemplate`)]
}

function validateEmptyDir({ sizeLimit }: any, field: string): FieldError[] {
  const errors: FieldError[] = []
  const limit = sizeLimit === undefined ? undefined : tryParseQuantity(String(sizeLimit))
  if (limit && limit.nanos < 0n)
    errors.push(forbidden(`${field}.sizeLimit`, 'SizeLimit field must be a valid resource quantity'))
  return errors
}

function validateHostPath(source: any, field: string): FieldError[] {
  if (!source.path) return [requiredValue(`${field}.path`)]
  const errors: FieldError[] = []
  if (source.path.split('/').includes('..'))
    errors.push(invalidValue(`${field}.path`, source.path, "must not contain '..'"))
  if (source.type && !hostPathTypes.includes(source.type))
    errors.push(notSupported(`${field}.type`, source.type, hostPathTypes))
  return errors
}

function validateItems(source: any, field: string): FieldError[] {
  const errors = validateMode(source.defaultMode, `${field}.defaultMode`)
  for (const [index, item] of (source.items ?? []).entries()) {
    const at = `${field}.items[${index}]`
    if (!item.key) errors.push(requiredValue(`${at}.key`))
    errors.push(...validateLocalPath(item.path, `${at}.path`), ...validateMode(item.mode, `${at}.mode`))
  }
  return errors
}

function validateDownward(source: any, field: string): FieldError[] {
  const errors = validateMode(source.defaultMode, `${field}.defaultMode`)
  for (const [index, item] of (source.items ?? []).entries()) {
    const at = `${field}.items[${index}]`
    errors.push(...validateLocalPath(item.path, `${at}.path`), ...validateMode(item.mode, `${at}.mode`))
    if (item.fieldRef) errors.push(...validateVolumeField(item.fieldRef.fieldPath, `${at}.fieldRef.fieldPath`))
    if (item.resourceFieldRef)
      errors.push(...validateResourceField(item.resourceFieldRef, `${at}.resourceFieldRef`, true))
    if (item.fieldRef && item.resourceFieldRef)
      errors.push(invalidValue(at, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'))
    if (!item.fieldRef && !item.resourceFieldRef)
      errors.push(requiredValue(at, 'one of fieldRef and resourceFieldRef is required'))
  }
  return errors
}

const volumeFields = ['metadata.annotations', 'metadata.labels', 'metadata.name', 'metadata.namespace', 'metadata.uid']

function validateVolumeField(path: string | undefined, field: string): FieldError[] {
  if (!path) return [requiredValue(field)]
  if (volumeFields.includes(path) || /^metadata\.(labels|annotations)\['[^']+'\]$/.test(path)) return []
  return [notSupported(field, path, volumeFields)]
}

const projections = ['configMap', 'downwardAPI', 'secret', 'serviceAccountToken']

function validateProjected(source: any, field: string): FieldError[] {
  const errors = validateMode(source.defaultMode, `${field}.defaultMode`)
  for (const [index, projection] of (source.sources ?? []).entries()) {
    const at = `${field}.sources[${index}]`
    const kinds = Object.keys(projection)
    if (kinds.length !== 1) {
      errors.push(
        kinds.length
          ? forbidden(at, 'may not specify more than 1 volume type per source')
          : requiredValue(at, 'must specify a source'),
      )
      continue
    }
    const kind = kinds[0]!
    if (projections.includes(kind)) errors.push(...validateProjection(kind, projection[kind], `${at}.${kind}`))
  }
  return errors
}

function validateProjection(kind: string, source: any, field: string): FieldError[] {
  if (kind === 'downwardAPI') return validateDownward(source, field)
  if (kind !== 'serviceAccountToken')
    return source.name ? validateItems(source, field) : [requiredValue(`${field}.name`)]
  const errors: FieldError[] = []
  if (source.expirationSeconds < 600)
    errors.push(
      invalidValue(
        `${field}.expirationSeconds`,
        source.expirationSeconds,
        'may not specify a duration less than 10 minutes',
      ),
    )
  if (!source.path) errors.push(requiredValue(`${field}.path`))
  return errors
}

function validateMode(mode: unknown, field: string): FieldError[] {
  if (typeof mode !== 'number' || (mode >= 0 && mode <= 0o777)) return []
  return [invalidValue(field, mode, 'must be a number between 0 and 0777 (octal), both inclusive')]
}
