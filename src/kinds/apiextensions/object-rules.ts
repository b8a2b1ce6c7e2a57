// Rules for custom resources that no schema says: replica counts, names, objects inside objects
// (apiextensions pkg/registry/customresource/validator.go and pkg/apiserver/schema/objectmeta, 1.36).

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject, ObjectMeta } from '../../api/meta.ts'
import { dns1035LabelProblems } from '../../api/names.ts'
import { validateMetaCreate } from '../../api/validate-meta.ts'
import { isPlainObject, own } from '../../api/walk/plain.ts'
import { invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { shapeOf } from '../../api/walk/shape.ts'
import { validateSchema } from '../../api/walk/validate.ts'
import { itemsOf, type JsonSchema, schemaFromJson, valuesOf } from './json-schema.ts'

const maxReplicas = 2 ** 31 - 1

export function scaleProblems(object: ApiObject, scale: Record<string, string>): FieldError[] {
  const errors: FieldError[] = []
  for (const path of [scale.specReplicasPath, scale.statusReplicasPath]) {
    const value = valueAt(object, path!)
    if (value === undefined) continue
    if (typeof value !== 'number' || !Number.isInteger(value))
      errors.push(
        invalidValue(
          path!,
          0,
          `${path} accessor error: ${shown(value)} is of the type ${goType(value)}, expected int64`,
        ),
      )
    else if (value < 0) errors.push(invalidValue(path!, value, 'should be a non-negative integer'))
    else if (value > maxReplicas)
      errors.push(invalidValue(path!, value, `should be less than or equal to ${maxReplicas}`))
  }
  const selector = scale.labelSelectorPath
  const text = selector ? valueAt(object, selector) : undefined
  if (text !== undefined && typeof text !== 'string')
    errors.push(
      invalidValue(
        selector!,
        '',
        `${selector} accessor error: ${shown(text)} is of the type ${goType(text)}, expected string`,
      ),
    )
  return errors
}

const shown = (value: unknown): string => (typeof value === 'object' ? JSON.stringify(value) : String(value))

function goType(value: unknown): string {
  if (Array.isArray(value)) return '[]interface {}'
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64'
  if (typeof value === 'boolean') return 'bool'
  return typeof value === 'string' ? 'string' : 'map[string]interface {}'
}

function valueAt(object: unknown, path: string): unknown {
  let at: unknown = object
  for (const step of path.split('.').slice(1)) {
    if (!isPlainObject(at)) return undefined
    at = own(at, step)
  }
  return at
}

/** The schema may restrict name and generateName. */
export function metadataProblems(object: ApiObject, metadata: JsonSchema): FieldError[] {
  const { name, generateName } = object.metadata
  const shape = shapeOf(schemaFromJson({ ...metadata, 'x-kubernetes-preserve-unknown-fields': true }))
  return validateSchema(
    { ...(name && { name }), ...(generateName && { generateName }) },
    shape,
    'structural',
    'metadata',
  )
}

/** Every object that the schema says is a resource has a kind, an apiVersion and good metadata. */
export function embeddedProblems(object: ApiObject, schema: JsonSchema): FieldError[] {
  const errors: FieldError[] = []
  walk(errors, object, { ...schema, 'x-kubernetes-embedded-resource': false }, '')
  return errors
}

function walk(errors: FieldError[], value: unknown, schema: JsonSchema, path: string): void {
  if (Array.isArray(value)) {
    const items = itemsOf(schema)
    if (items) for (const [index, item] of value.entries()) walk(errors, item, items, `${path}[${index}]`)
    return
  }
  if (!isPlainObject(value)) return
  if (schema['x-kubernetes-embedded-resource']) checkResource(errors, value, path)
  const values = valuesOf(schema)
  for (const [name, part] of Object.entries(value)) {
    const field = schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined
    if (field) walk(errors, part, field, path ? `${path}.${name}` : name)
    else if (values) walk(errors, part, values, `${path}[${name}]`)
  }
}

function checkResource(errors: FieldError[], value: Record<string, unknown>, path: string): void {
  for (const name of ['apiVersion', 'kind']) {
    const text = value[name]
    const where = `${path}.${name}`
    if (text === undefined) errors.push(requiredValue(where))
    else if (typeof text !== 'string') errors.push(invalidValue(where, text, 'must be a string'))
    else if (text === '') errors.push(invalidValue(where, text, 'must not be empty'))
    else if (name === 'apiVersion' && text.split('/').length > 2)
      errors.push(invalidValue(where, text, `unexpected GroupVersion string: ${text}`))
    else if (name === 'kind') {
      const problems = dns1035LabelProblems(text.toLowerCase())
      if (problems.length)
        errors.push(invalidValue(where, text, `may have mixed case, but should otherwise match: ${problems.join(',')}`))
    }
  }
  if (!isPlainObject(value.metadata)) return
  const metadata = { name: 'fakename', ...value.metadata } as ObjectMeta
  const options = { namespaced: Boolean(metadata.namespace), nameRule: 'path-segment' as const }
  errors.push(...validateMetaCreate(metadata, options, `${path}.metadata`))
}
