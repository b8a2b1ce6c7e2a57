// Secret: data that only those who may read it should see.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { configKeyProblems } from '../../api/names.ts'
import { ageColumn } from '../../api/table.ts'
import { invalidValue, requiredValue, tooLong } from '../../api/walk/rules.ts'
import { integer, text } from '../columns.ts'
import { immutable } from '../rules/field.ts'
import { schemaOf, types } from '../types.ts'
import { immutableData, maximumDataSize } from './configmap.ts'
import { base64Size, toBase64 } from './data-size.ts'

/** Keys that a type of Secret must have. */
const requiredKeys: Record<string, string[]> = {
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
}

/** stringData is a way to write data; it is never read back. */
function mergeStringData(object: ApiObject): void {
  const { stringData } = object
  if (stringData === undefined) return
  delete object.stringData
  for (const [key, value] of Object.entries(stringData ?? {})) {
    if (typeof value !== 'string') continue
    object.data = { ...object.data, [key]: toBase64(value) }
  }
}

function validate(object: ApiObject, old?: ApiObject): FieldError[] {
  const data: Record<string, string> = object.data ?? {}
  const errors: FieldError[] = []
  let size = 0
  for (const [key, value] of Object.entries(data)) {
    errors.push(...configKeyProblems(key).map((problem) => invalidValue(`data[${key}]`, key, problem)))
    size += base64Size(value)
  }
  if (size > maximumDataSize) errors.push(tooLong('data', maximumDataSize))
  for (const key of requiredKeys[object.type] ?? []) if (!(key in data)) errors.push(requiredValue(`data[${key}]`))
  if (object.type === 'kubernetes.io/basic-auth' && !('username' in data) && !('password' in data))
    errors.push(requiredValue('data[username]'), requiredValue('data[password]'))
  const account = 'kubernetes.io/service-account.name'
  if (object.type === 'kubernetes.io/service-account-token' && !object.metadata.annotations?.[account])
    errors.push(requiredValue(`metadata.annotations[${account}]`))
  if (!old) return errors
  return [...errors, ...immutable('type', object.type, old.type), ...immutableData(object, old, ['data'])]
}

export const secret = defineKind({
  group: '',
  version: 'v1',
  kind: 'Secret',
  plural: 'secrets',
  singular: 'secret',
  scope: 'Namespaced',
  schema: schemaOf('core.v1.Secret'),
  types,
  columns: [
    text('Type', (object) => object.type ?? ''),
    integer('Data', (object) => Object.keys(object.data ?? {}).length),
    ageColumn,
  ],
  defaults: mergeStringData,
  validate,
  fields: { type: (object) => object.type ?? '' },
  example: {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'database', namespace: 'default' },
    type: 'Opaque',
    data: { password: 'c2VjcmV0' },
  },
})
