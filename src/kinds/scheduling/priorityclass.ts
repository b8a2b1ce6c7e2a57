// PriorityClass: a name for how important a Pod is.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { forbidden } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'

const highest = 1_000_000_000

function validate(object: ApiObject, old?: ApiObject): FieldError[] {
  const errors: FieldError[] = []
  if (!object.metadata.name?.startsWith('system-') && object.value > highest)
    errors.push(forbidden('value', `maximum allowed value of a user defined priority is ${highest}`))
  if (!old) return errors
  if (object.value !== old.value) errors.push(forbidden('value', 'may not be changed in an update.'))
  if (object.preemptionPolicy !== old.preemptionPolicy)
    errors.push(forbidden('preemptionPolicy', 'may not be changed in an update.'))
  return errors
}

export const priorityClass = defineKind({
  group: 'scheduling.k8s.io',
  version: 'v1',
  kind: 'PriorityClass',
  plural: 'priorityclasses',
  singular: 'priorityclass',
  shortNames: ['pc'],
  scope: 'Cluster',
  schema: schemaOf('scheduling.v1.PriorityClass'),
  types,
  columns: [
    { name: 'Value', type: 'integer', value: (object) => object.value ?? 0 },
    { name: 'Global-Default', type: 'boolean', value: (object) => object.globalDefault ?? false },
    ageColumn,
    text('PreemptionPolicy', (object) => object.preemptionPolicy ?? ''),
  ],
  validate,
  example: { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name: 'high' }, value: 1000 },
})
