// Defaults in the schema of a custom resource must be values that the schema itself accepts
// (apiextensions pkg/apiserver/schema/defaulting/validation.go, 1.36).

import { hasRules } from '../../api/cel/has-rules.ts'
import { celRules } from '../../api/cel/lazy.ts'
import type { FieldError } from '../../api/errors.ts'
import { decode } from '../../api/walk/decode.ts'
import { invalidValue } from '../../api/walk/rules.ts'
import { shapeOf } from '../../api/walk/shape.ts'
import { validateSchema } from '../../api/walk/validate.ts'
import { itemsOf, type JsonSchema, schemaFromJson } from './json-schema.ts'

/** What is wrong with the defaults of a structural schema. */
export function defaultProblems(schema: JsonSchema, path: string): FieldError[] {
  const errors: FieldError[] = []
  check(errors, schema, path)
  return errors
}

function check(errors: FieldError[], schema: JsonSchema, path: string): void {
  if (schema.default !== undefined && schema.default !== null) errors.push(...problemsOf(schema, `${path}.default`))
  const items = itemsOf(schema)
  if (items) check(errors, items, `${path}.items`)
  for (const [name, field] of Object.entries(schema.properties ?? {}))
    check(errors, field, `${path}.properties[${name}]`)
}

function problemsOf(schema: JsonSchema, path: string): FieldError[] {
  const shape = shapeOf(schemaFromJson(schema))
  const { unknown } = decode(
    { value: schema.default },
    shapeOf({ type: 'object', properties: { value: shape.schema } }),
    'structural',
  )
  const errors: FieldError[] = []
  if (unknown.length > 0) errors.push(invalidValue(path, schema.default, 'must not have unknown fields'))
  const found = validateSchema(schema.default, shape, 'structural')
  if (found.length === 0 && hasRules(shape.schema))
    found.push(...celRules().compileRules(shape.schema).validate(schema.default, schema.default).errors)
  for (const error of found) errors.push({ ...error, field: error.field ? `${path}.${error.field}` : path })
  return errors
}
