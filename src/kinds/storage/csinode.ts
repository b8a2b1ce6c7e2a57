// CSINode: the storage drivers of a node.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { qualifiedNameProblems } from '../../api/names.ts'
import { ageColumn } from '../../api/table.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { duplicateValue, invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { integer } from '../columns.ts'
import { validateDriverName } from '../rules/drivers.ts'
import { uniqueNames } from '../rules/field.ts'
import { storedOnly } from '../rules/warnings.ts'
import { schemaOf, types } from '../types.ts'
import { noDriver } from './driver-rules.ts'

const longestNodeId = 256
const field = 'spec.drivers'

function validateDriver(driver: any, path: string): FieldError[] {
  const errors = validateDriverName(driver?.name, `${path}.name`)
  const { nodeID = '', allocatable, topologyKeys = [] } = driver ?? {}
  if (!nodeID) errors.push(requiredValue(`${path}.nodeID`))
  if (nodeID.length > longestNodeId)
    errors.push(invalidValue(`${path}.nodeID`, nodeID, `must be ${longestNodeId} characters or less`))
  if (allocatable?.count < 0)
    errors.push(invalidValue(`${path}.allocatable.count`, allocatable.count, 'must be greater than or equal to 0'))
  const seen = new Set<string>()
  for (const key of topologyKeys) {
    if (!key) errors.push(requiredValue(path))
    if (seen.has(key)) errors.push(duplicateValue(path, key))
    seen.add(key)
    errors.push(...qualifiedNameProblems(key).map((problem) => invalidValue(path, key, problem)))
  }
  return errors
}

/** How many volumes a driver takes may change; the rest of a driver that stays may not. */
function validateChange(drivers: any[], before: any[]): FieldError[] {
  return before.flatMap((old) => {
    const now = drivers.find((driver) => driver?.name === old.name)
    if (!now || equalJson({ ...now, allocatable: 0 }, { ...old, allocatable: 0 })) return []
    return [invalidValue(field, now, 'field is immutable')]
  })
}

function validate({ spec }: ApiObject, old?: ApiObject): FieldError[] {
  const drivers: any[] = spec?.drivers ?? []
  return [
    ...drivers.flatMap((driver, index) => validateDriver(driver, `${field}[${index}]`)),
    ...uniqueNames(field, drivers),
    ...(old ? validateChange(drivers, old.spec?.drivers ?? []) : []),
  ]
}

export const csiNode = defineKind({
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'CSINode',
  plural: 'csinodes',
  singular: 'csinode',
  scope: 'Cluster',
  schema: schemaOf('storage.v1.CSINode'),
  types,
  hasGeneration: false,
  columns: [integer('Drivers', ({ spec }) => spec?.drivers?.length ?? 0), ageColumn],
  defaults(object) {
    object.spec ??= {}
    object.spec.drivers ??= []
  },
  validate,
  warnings: storedOnly('CSINode', noDriver),
  example: {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'CSINode',
    metadata: { name: 'machine' },
    spec: { drivers: [{ name: 'disks.example.com', nodeID: 'machine' }] },
  },
})
