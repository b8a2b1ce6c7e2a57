// The schema inside a CustomResourceDefinition (apiextensions/v1 JSONSchemaProps) as the schema that all of Tandem walks.

import type { Schema, SchemaType, ValidationRule } from '../../api/schema.ts'
import { isPlainObject } from '../../api/walk/plain.ts'
import { knownFormat } from './formats.ts'

/** A JSONSchemaProps as it came: checked in its outer form only. */
export interface JsonSchema {
  type?: string
  format?: string
  description?: string
  title?: string
  default?: unknown
  nullable?: boolean
  properties?: Record<string, JsonSchema>
  required?: string[]
  items?: JsonSchema | JsonSchema[]
  additionalProperties?: JsonSchema | boolean
  enum?: unknown[]
  pattern?: string
  allOf?: JsonSchema[]
  anyOf?: JsonSchema[]
  oneOf?: JsonSchema[]
  not?: JsonSchema
  'x-kubernetes-validations'?: ValidationRule[]
  'x-kubernetes-list-type'?: string
  'x-kubernetes-list-map-keys'?: string[]
  'x-kubernetes-map-type'?: string
  [name: string]: any
}

const schemaTypes: readonly string[] = ['object', 'array', 'string', 'integer', 'number', 'boolean']

/** Keywords that mean the same and are called the same on both sides. */
const copied = [
  ...(['description', 'nullable', 'required', 'enum', 'default', 'pattern', 'uniqueItems', 'multipleOf'] as const),
  ...(['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'minLength', 'maxLength'] as const),
  ...(['minItems', 'maxItems', 'minProperties', 'maxProperties'] as const),
]

const renamed = {
  'x-kubernetes-int-or-string': 'intOrString',
  'x-kubernetes-preserve-unknown-fields': 'preserveUnknown',
  'x-kubernetes-embedded-resource': 'embedded',
  'x-kubernetes-list-type': 'listType',
  'x-kubernetes-list-map-keys': 'listMapKeys',
  'x-kubernetes-map-type': 'mapType',
  'x-kubernetes-validations': 'rules',
} as const

export const itemsOf = (json: JsonSchema): JsonSchema | undefined =>
  isPlainObject(json.items) ? (json.items as JsonSchema) : undefined

/** The schema of a map's values; undefined also for `additionalProperties: true`. */
export const valuesOf = (json: JsonSchema): JsonSchema | undefined =>
  isPlainObject(json.additionalProperties) ? (json.additionalProperties as JsonSchema) : undefined

export function schemaFromJson(json: JsonSchema): Schema {
  const schema: Record<string, unknown> = {}
  if (json.type && schemaTypes.includes(json.type)) schema.type = json.type as SchemaType
  const format = knownFormat(json.format, json.type)
  if (format) schema.format = format
  for (const name of copied) if (json[name] !== undefined && json[name] !== null) schema[name] = json[name]
  for (const [theirs, ours] of Object.entries(renamed)) if (json[theirs]) schema[ours] = json[theirs]
  const items = itemsOf(json)
  if (items) schema.items = schemaFromJson(items)
  const values = valuesOf(json)
  if (values) schema.additionalProperties = schemaFromJson(values)
  else if (json.additionalProperties === true) schema.additionalProperties = {}
  if (json.properties) schema.properties = mapSchemas(json.properties)
  for (const name of ['allOf', 'anyOf', 'oneOf'] as const) if (json[name]) schema[name] = json[name].map(schemaFromJson)
  if (json.not) schema.not = schemaFromJson(json.not)
  return schema as Schema
}

const mapSchemas = (properties: Record<string, JsonSchema>): Record<string, Schema> =>
  Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, schemaFromJson(property)]))

/** True when the schema or any schema inside it is as asked (apiextensions validation.SchemaHas). */
export function someSchema(json: JsonSchema | undefined, test: (json: JsonSchema) => boolean): boolean {
  if (!isPlainObject(json)) return false
  if (test(json)) return true
  const below: unknown[] = [valuesOf(json), json.not, json.additionalItems]
  if (Array.isArray(json.items)) below.push(...json.items)
  else below.push(json.items)
  for (const name of ['allOf', 'anyOf', 'oneOf'] as const) if (Array.isArray(json[name])) below.push(...json[name])
  for (const name of ['properties', 'patternProperties', 'definitions', 'dependencies'])
    below.push(...Object.values(json[name] ?? {}))
  return below.some((part) => someSchema(part as JsonSchema, test))
}
