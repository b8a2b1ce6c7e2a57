// ResourceSlice: devices that a driver offers.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dnsSubdomainProblems, labelValueProblems, qualifiedNameProblems } from '../../api/names.ts'
import { ageColumn } from '../../api/table.ts'
import { invalidValue, requiredValue, tooLong } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { validateDriverName } from '../rules/drivers.ts'
import { immutable } from '../rules/field.ts'
import { storedOnly } from '../rules/warnings.ts'
import { schemaOf, types } from '../types.ts'
import { noDevices } from './device-rules.ts'
import { listOf, validateAttributeName, validateLabel, validateList, validatePoolName } from './names.ts'

const valueFields = ['bool', 'int', 'string', 'version', 'bools', 'ints', 'strings', 'versions']
const semver =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?$/

function validateAttribute(attribute: any, path: string): FieldError[] {
  const given = valueFields.filter((field) => attribute?.[field] !== undefined)
  if (given.length !== 1)
    return [invalidValue(path, given.length ? attribute : '', 'exactly one value must be specified')]
  const [field] = given as [string]
  const value = attribute[field]
  if (Array.isArray(value) && value.length === 0)
    return [invalidValue(`${path}.${field}`, value, 'must not be empty if specified')]
  return [value].flat().flatMap((one: unknown) => {
    if (typeof one !== 'string') return []
    const errors = one.length > 64 ? [tooLong(`${path}.${field}`, 64)] : []
    if (field.startsWith('version') && !semver.test(one))
      errors.push(invalidValue(`${path}.${field}`, one, 'must be a string compatible with semver.org spec 2.0.0'))
    return errors
  })
}

function validateTaint({ key = '', value = '' }: any, path: string): FieldError[] {
  return [
    ...qualifiedNameProblems(key).map((problem) => invalidValue(`${path}.key`, key, problem)),
    ...labelValueProblems(value).map((problem) => invalidValue(`${path}.value`, value, problem)),
  ]
}

const placeFields = ['nodeName', 'nodeSelector', 'allNodes']

/** Where devices are: exactly one of the fields says it. */
function validatePlace(part: any, fields: string[], path: string, suffix: string): FieldError[] {
  const errors: FieldError[] = []
  const given = fields.filter((field) => part[field] !== undefined)
  for (const field of given) {
    if (part[field] === false)
      errors.push(invalidValue(`${path}.${field}`, false, 'must be either unset or set to true'))
    if (part[field] === '')
      errors.push(invalidValue(`${path}.${field}`, '', 'must be either unset or set to a non-empty string'))
  }
  if (part.nodeName)
    for (const problem of dnsSubdomainProblems(part.nodeName))
      errors.push(invalidValue(`${path}.nodeName`, part.nodeName, problem))
  const set = given.filter((field) => part[field])
  const rule = `exactly one of ${fields.map((field) => `\`${field}\``).join(', ')} is required${suffix}`
  if (set.length === 0) errors.push(requiredValue(path, rule))
  if (set.length > 1)
    errors.push(
      invalidValue(path, `{${set.map((field) => `\`${field}\``).join(', ')}}`, `${rule}, but multiple fields are set`),
    )
  return errors
}

function validateDevice(device: any, path: string, isPlacedItself: boolean): FieldError[] {
  const attributes = Object.entries(device.attributes ?? {})
  const capacity = Object.keys(device.capacity ?? {})
  const errors = validateLabel(device.name, `${path}.name`)
  const count = attributes.length + capacity.length
  if (count > 32)
    errors.push(invalidValue(path, count, 'the total number of attributes and capacities must not exceed 32'))
  for (const [name, value] of attributes)
    errors.push(
      ...validateAttributeName(name, `${path}.attributes`),
      ...validateAttribute(value, `${path}.attributes[${name}]`),
    )
  for (const name of capacity) errors.push(...validateAttributeName(name, `${path}.capacity`))
  errors.push(...validateList(listOf(device.taints), 16, `${path}.taints`, validateTaint))
  if (isPlacedItself)
    return [
      ...errors,
      ...validatePlace(
        device,
        placeFields,
        path,
        ' when `perDeviceNodeSelection` is set to true in the ResourceSlice spec',
      ),
    ]
  if (placeFields.some((field) => device[field] !== undefined))
    errors.push(
      invalidValue(
        path,
        null,
        '`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec',
      ),
    )
  return errors
}

function validate({ spec = {} }: ApiObject, old?: ApiObject): FieldError[] {
  const { driver, pool = {}, devices, sharedCounters } = spec
  const errors = [
    ...validateDriverName(driver, 'spec.driver'),
    ...validatePoolName(pool.name, 'spec.pool.name'),
    ...validatePlace(spec, [...placeFields, 'perDeviceNodeSelection'], 'spec', ''),
  ]
  if (!(pool.resourceSliceCount > 0))
    errors.push(invalidValue('spec.pool.resourceSliceCount', pool.resourceSliceCount ?? 0, 'must be greater than zero'))
  if (pool.generation < 0)
    errors.push(invalidValue('spec.pool.generation', pool.generation, 'must be greater than or equal to zero'))
  if (spec.nodeSelector && listOf(spec.nodeSelector.nodeSelectorTerms).length !== 1)
    errors.push(
      invalidValue(
        'spec.nodeSelector.nodeSelectorTerms',
        spec.nodeSelector.nodeSelectorTerms ?? null,
        'must have exactly one node selector term',
      ),
    )
  if (sharedCounters !== undefined && devices !== undefined)
    errors.push(invalidValue('spec', '', 'only one of `sharedCounters` or `devices` is allowed'))
  const check = (device: any, path: string) => validateDevice(device, path, spec.perDeviceNodeSelection === true)
  errors.push(...validateList(listOf(devices), 128, 'spec.devices', check, (device) => device.name))
  if (!old) return errors
  return [
    ...errors,
    ...immutable('spec.pool.name', pool.name, old.spec?.pool?.name),
    ...immutable('spec.driver', driver, old.spec?.driver),
    ...immutable('spec.nodeName', spec.nodeName, old.spec?.nodeName),
  ]
}

export const resourceSlice = defineKind({
  group: 'resource.k8s.io',
  version: 'v1',
  kind: 'ResourceSlice',
  plural: 'resourceslices',
  singular: 'resourceslice',
  scope: 'Cluster',
  schema: schemaOf('resource.v1.ResourceSlice'),
  types,
  columns: [
    text('Node', ({ spec }) => spec?.nodeName ?? ''),
    text('Driver', ({ spec }) => spec?.driver ?? ''),
    text('Pool', ({ spec }) => spec?.pool?.name ?? ''),
    ageColumn,
  ],
  validate,
  warnings: storedOnly('ResourceSlice', noDevices),
  fields: {
    'spec.nodeName': ({ spec }) => spec?.nodeName ?? '',
    'spec.driver': ({ spec }) => spec?.driver ?? '',
  },
  example: {
    apiVersion: 'resource.k8s.io/v1',
    kind: 'ResourceSlice',
    metadata: { name: 'machine-gpu' },
    spec: {
      driver: 'gpu.example.com',
      nodeName: 'machine',
      pool: { name: 'machine', generation: 1, resourceSliceCount: 1 },
      devices: [{ name: 'gpu-0', attributes: { model: { string: 'a1' } } }],
    },
  },
})
