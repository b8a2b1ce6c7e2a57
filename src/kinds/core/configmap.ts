// ConfigMap: settings that Pods and VMs read.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { configKeyProblems } from '../../api/names.ts'
import { ageColumn } from '../../api/table.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden, invalidValue, tooLong } from '../../api/walk/rules.ts'
import { integer } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import { base64Size, textSize } from './data-size.ts'

export const maximumDataSize = 1024 * 1024

const immutableText = 'field is immutable when `immutable` is set'

/** Data that was declared immutable stays as it is, and so does the declaration. */
export function immutableData(object: ApiObject, old: ApiObject, fields: string[]): FieldError[] {
  if (!old.immutable) return []
  const errors = object.immutable ? [] : [forbidden('immutable', immutableText)]
  for (const field of fields) if (!equalJson(object[field], old[field])) errors.push(forbidden(field, immutableText))
  return errors
}

function validate(object: ApiObject, old?: ApiObject): FieldError[] {
  const errors: FieldError[] = []
  let size = 0
  for (const [key, value] of Object.entries<string>(object.data ?? {})) {
    errors.push(...configKeyProblems(key).map((problem) => invalidValue(`data[${key}]`, key, problem)))
    if (object.binaryData && key in object.binaryData)
      errors.push(invalidValue(`data[${key}]`, key, 'duplicate of key present in binaryData'))
    size += textSize(value)
  }
  for (const [key, value] of Object.entries<string>(object.binaryData ?? {})) {
    errors.push(...configKeyProblems(key).map((problem) => invalidValue(`binaryData[${key}]`, key, problem)))
    size += base64Size(value)
  }
  if (size > maximumDataSize) errors.push(tooLong('[]', maximumDataSize))
  return old ? [...errors, ...immutableData(object, old, ['data', 'binaryData'])] : errors
}

export const configMap = defineKind({
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  singular: 'configmap',
  shortNames: ['cm'],
  scope: 'Namespaced',
  schema: schemaOf('core.v1.ConfigMap'),
  types,
  columns: [
    integer('Data', ({ data = {}, binaryData = {} }) => Object.keys(data).length + Object.keys(binaryData).length),
    ageColumn,
  ],
  validate,
  example: {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'settings', namespace: 'default' },
    data: { colour: 'blue' },
    binaryData: { logo: 'AAEC' },
  },
})
