// Defaults in the schema of a custom resource must be values that the schema itself accepts
// (apiextensions pkg/apiserver/schema/defaulting/validation.go, 1.36).

import { hasRules } from '../../api/cel/has-rules.ts'
import { celRules } from '../../api/cel/lazy.ts'
import type { FieldError } from '../../api/errors.ts'
import type { Schema } from '../../api/schema.ts'
import { decode } from '../../api/walk/decode.ts'
import { invalidValue } from '../../api/walk/rules.ts'
import { shapeOf } from '../../api/walk/shape.ts'
import { validateSchema } from '../../api/walk/validate.ts'

/** What is wrong with the defaults of a structural schema. */
export function defaultProblems(schema: Schema, path: string): FieldError[] {
  const errors: FieldError[] = []
  // Asked once: below every default it would be asked again.
  check(errors, schema, path, hasRules(schema))
  return errors
}

function check(errors: FieldError[], schema: Schema, path: string, rules: boolean): void {
  if (schema.default !== undefined) errors.push(...problemsOf(schema, `${path}.default`, rules))
  if (schema.items) check(errors, schema.items, `${path}.items`, rules)
  for (const [name, field] of Object.entries(schema.properties ?? {}))
    check(errors, field, `${path}.properties[${name}]`, rules)
}

function problemsOf(schema: Schema, path: string, rules: boolean): FieldError[] {
  const holder = shapeOf({ type: 'object', properties: { value: schema } })
  const { unknown } = decode({ value: schema.default }, holder, 'structural')
  const errors: FieldError[] = []
  if (unknown.length > 0) errors.push(invalidValue(path, schema.default, 'must not have unknown fields'))
  const found = validateSchema(schema.default, shapeOf(schema), 'structural')
  if (rules && found.length === 0)
    found.push(...celRules().compileRules(schema).validate(schema.default, schema.default).errors)
  for (const error of found) errors.push({ ...error, field: error.field ? `${path}.${error.field}` : path })
  return errors
}
