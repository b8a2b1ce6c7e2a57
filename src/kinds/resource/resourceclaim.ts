// ResourceClaim: devices that Pods ask for, and what was allocated.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden, invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { validateDriverName } from '../rules/drivers.ts'
import { immutable } from '../rules/field.ts'
import { storedOnly } from '../rules/warnings.ts'
import { schemaOf, types } from '../types.ts'
import { defaultRequests, noDevices, requestNames, validateConfiguration, validateDeviceClaim } from './device-rules.ts'
import { listOf, validateLabel, validateList, validatePoolName } from './names.ts'

function state({ metadata, status }: ApiObject): string {
  const states = metadata.deletionTimestamp ? ['deleted'] : []
  if (status?.allocation) states.push('allocated', ...(status.reservedFor?.length ? ['reserved'] : []))
  else if (!metadata.deletionTimestamp) states.push('pending')
  return states.join(',')
}

const deviceKey = ({ driver, pool, device, shareID }: any): string => [driver, pool, device, shareID].join('/')

function validateConsumer(consumer: any, path: string): FieldError[] {
  return ['resource', 'name', 'uid']
    .filter((field) => !consumer[field])
    .map((field) => requiredValue(`${path}.${field}`))
}

function validateResult(result: any, path: string, names: Set<string>): FieldError[] {
  const errors = [
    ...validateDriverName(result.driver, `${path}.driver`),
    ...validatePoolName(result.pool, `${path}.pool`),
    ...validateLabel(result.device, `${path}.device`),
  ]
  if (!names.has(result.request))
    errors.push(
      invalidValue(
        `${path}.request`,
        result.request ?? '',
        "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
      ),
    )
  return errors
}

function validateStatus(object: ApiObject, old: ApiObject): FieldError[] {
  const { status = {}, spec, metadata } = object
  const before = old.status ?? {}
  const reserved = listOf(status.reservedFor)
  const field = 'status.reservedFor'
  const errors = validateList(reserved, 256, field, validateConsumer)
  if (reserved.length > 0 && !status.allocation)
    errors.push(forbidden(field, 'may not be specified when `allocated` is not set'))
  else if (metadata.deletionTimestamp)
    for (const consumer of reserved)
      if (!listOf(before.reservedFor).some((one) => equalJson(one, consumer)))
        errors.push(
          forbidden(field, 'new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set'),
        )
  const results = listOf(status.allocation?.devices?.results)
  const allocated = new Set(results.map(deviceKey))
  listOf(status.devices).forEach((device, index) => {
    if (!allocated.has(deviceKey(device)))
      errors.push(
        invalidValue(`status.devices[${index}]`, deviceKey(device), 'must be an allocated device in the claim'),
      )
  })
  if (!status.allocation) return errors
  if (before.allocation) return [...errors, ...immutable('status.allocation', status.allocation, before.allocation)]
  const names = requestNames(spec?.devices)
  const path = 'status.allocation.devices'
  return [
    ...errors,
    ...validateList(results, 32, `${path}.results`, (result, at) => validateResult(result, at, names)),
    ...validateList(listOf(status.allocation.devices?.config), 64, `${path}.config`, validateConfiguration),
  ]
}

export const resourceClaim = defineKind({
  group: 'resource.k8s.io',
  version: 'v1',
  kind: 'ResourceClaim',
  plural: 'resourceclaims',
  singular: 'resourceclaim',
  scope: 'Namespaced',
  schema: schemaOf('resource.v1.ResourceClaim'),
  types,
  subresources: { status: true },
  hasGeneration: false,
  columns: [text('State', state), ageColumn],
  defaults: ({ spec }) => defaultRequests(spec?.devices),
  validate: (object, old) =>
    old
      ? [...immutable('spec', object.spec, old.spec), ...validateStatus(object, old)]
      : validateDeviceClaim(object.spec?.devices, 'spec.devices'),
  warnings: storedOnly('ResourceClaim', noDevices),
  example: {
    apiVersion: 'resource.k8s.io/v1',
    kind: 'ResourceClaim',
    metadata: { name: 'gpu', namespace: 'default' },
    spec: { devices: { requests: [{ name: 'gpu', exactly: { deviceClassName: 'gpu.example.com' } }] } },
  },
})
