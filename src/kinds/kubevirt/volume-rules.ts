// Rules for the volumes of a VirtualMachineInstance (vmi-create-admitter.go, KubeVirt 1.7).

import type { FieldError } from '../../api/errors.ts'
import { dnsLabelProblems } from '../../api/names.ts'
import { tryParseQuantity } from '../../api/quantity.ts'
import { invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { base64Size, textSize } from '../core/data-size.ts'
import { checkName } from '../rules/names.ts'

/** Longer user data goes through a Secret. */
const longestUserData = 2048
const mostVolumes = 256

export function validateVmVolumes(volumes: any[], field: string): FieldError[] {
  const errors: FieldError[] = []
  if (volumes.length > mostVolumes)
    return [invalidValue(field, volumes.length, `${field} list exceeds the ${mostVolumes} element limit in length`)]
  const places = new Map<string, number>()
  const cloudInits: number[] = []
  for (const [index, volume] of volumes.entries()) {
    const at = `${field}[${index}]`
    errors.push(...checkName(`${at}.name`, volume?.name, dnsLabelProblems))
    const other = places.get(volume?.name)
    if (other !== undefined)
      errors.push(invalidValue(`${at}.name`, volume.name, `${at} and ${field}[${other}] must not have the same Name.`))
    else places.set(volume?.name, index)
    const sources = Object.keys(volume ?? {}).filter((key) => key !== 'name')
    if (sources.length !== 1) {
      errors.push(invalidValue(at, volume?.name ?? '', `${at} must have exactly one source type set`))
      continue
    }
    const [source] = sources as [string]
    if (source.startsWith('cloudInit')) cloudInits.push(index)
    errors.push(...validateSource(source, volume[source], `${at}.${source}`))
  }
  const accounts = volumes.filter((volume) => volume?.serviceAccount).length
  if (accounts > 1) errors.push(invalidValue(field, accounts, `${field} must have max one serviceAccount volume set`))
  if (cloudInits.length > 1)
    errors.push(invalidValue(field, cloudInits.length, `${field} must have max one cloudInit volume set`))
  return errors
}

function validateSource(kind: string, source: any, field: string): FieldError[] {
  if (!source || typeof source !== 'object') return []
  if (kind === 'containerDisk') return validateContainerDisk(source, field)
  if (kind === 'emptyDisk') return validateCapacity(source.capacity, `${field}.capacity`)
  if (kind === 'persistentVolumeClaim') return source.claimName ? [] : [requiredValue(`${field}.claimName`)]
  if (kind === 'ephemeral')
    return source.persistentVolumeClaim?.claimName ? [] : [requiredValue(`${field}.persistentVolumeClaim.claimName`)]
  if (kind === 'configMap') return source.name ? [] : [requiredValue(`${field}.name`)]
  if (kind === 'secret') return source.secretName ? [] : [requiredValue(`${field}.secretName`)]
  if (kind === 'hostDisk') return validateHostDisk(source, field)
  if (kind === 'serviceAccount') return source.serviceAccountName ? [] : [requiredValue(`${field}.serviceAccountName`)]
  if (kind === 'downwardAPI') return validateDownward(source.fields ?? [], `${field}.fields`)
  if (kind === 'sysprep')
    return Boolean(source.configMap?.name) !== Boolean(source.secret?.name)
      ? []
      : [invalidValue(field, '', `${field} must have exactly one of configMap and secret`)]
  if (kind === 'dataVolume') return source.name ? [] : [requiredValue(`${field}.name`, "DataVolume 'name' must be set")]
  return kind.startsWith('cloudInit') ? validateCloudInit(source, field) : []
}

function validateHostDisk({ path, type, capacity }: any, field: string): FieldError[] {
  const errors: FieldError[] = []
  if (!path) errors.push(requiredValue(`${field}.path`, `${field}.path is required for hostDisk volume`))
  else if (!path.startsWith('/')) errors.push(invalidValue(`${field}.path`, path, 'must be an absolute path to a file'))
  if (type !== 'Disk' && type !== 'DiskOrCreate')
    errors.push(
      invalidValue(
        `${field}.type`,
        type ?? '',
        `${field}.type has invalid value '${type ?? ''}', allowed are 'Disk' or 'DiskOrCreate'`,
      ),
    )
  if (type === 'Disk' && capacity !== undefined && tryParseQuantity(String(capacity))?.nanos)
    errors.push(
      invalidValue(
        `${field}.capacity`,
        String(capacity),
        `${field}.capacity is allowed to pass only with ${field}.type equal to 'DiskOrCreate'`,
      ),
    )
  return errors
}

const downwardField = /^metadata\.(name|namespace|uid|labels|annotations|(labels|annotations)\['[^']+'\])$/

function validateDownward(fields: any[], field: string): FieldError[] {
  return fields.flatMap(({ path, fieldRef }, index) => {
    const at = `${field}[${index}]`
    const wrong = fieldRef && !downwardField.test(fieldRef.fieldPath ?? '')
    return [
      ...(path && !/[/\\]/.test(path) ? [] : [invalidValue(`${at}.path`, path ?? '', 'must be the name of a file')]),
      ...(fieldRef ? [] : [requiredValue(`${at}.fieldRef`)]),
      ...(wrong
        ? [invalidValue(`${at}.fieldRef.fieldPath`, fieldRef.fieldPath, 'only fields of metadata are supported')]
        : []),
    ]
  })
}

function validateContainerDisk({ image, path }: any, field: string): FieldError[] {
  if (!image) return [requiredValue(`${field}.image`, `${field} must have an image`)]
  if (!path) return []
  if (!path.startsWith('/') || path === '/')
    return [invalidValue(`${field}.path`, path, 'must be an absolute path to a file')]
  return path.split('/').includes('..') ? [invalidValue(`${field}.path`, path, "must not contain '..'")] : []
}

function validateCapacity(capacity: unknown, field: string): FieldError[] {
  if (capacity === undefined) return [requiredValue(field)]
  const quantity = tryParseQuantity(String(capacity))
  return quantity && quantity.nanos <= 0n ? [invalidValue(field, String(capacity), 'must be greater than 0')] : []
}

function validateCloudInit(source: any, field: string): FieldError[] {
  const errors: FieldError[] = []
  const users = ['userData', 'userDataBase64', 'secretRef'].filter((name) => source[name])
  const networks = ['networkData', 'networkDataBase64', 'networkDataSecretRef'].filter((name) => source[name])
  if (users.length > 1 || (users.length === 0 && networks.length === 0))
    errors.push(invalidValue(field, users.join(', '), `${field} must have one exactly one userdata source set.`))
  if (networks.length > 1)
    errors.push(invalidValue(field, networks.join(', '), `${field} must have only one networkdata source set.`))
  for (const [kind, name] of [
    ['userdata', 'userData'],
    ['networkdata', 'networkData'],
  ] as const) {
    const encoded = source[`${name}Base64`]
    const size = encoded ? base64Size(encoded) : textSize(source[name] ?? '')
    if (size > longestUserData)
      errors.push(
        invalidValue(
          `${field}.${encoded ? `${name}Base64` : name}`,
          `${size} bytes`,
          `${field} ${kind} exceeds ${longestUserData} byte limit. Should use UserDataSecretRef for larger data.`,
        ),
      )
    if (encoded && !/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(encoded.replace(/\s/g, '')))
      errors.push(invalidValue(`${field}.${name}Base64`, '', `${field}.${name}Base64 is not a valid base64 value.`))
  }
  return errors
}
