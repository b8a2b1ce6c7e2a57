// Rules for the schema in a CustomResourceDefinition beside being structural
// (apiextensions pkg/apis/apiextensions/validation/validation.go, 1.36).

import { normalizeFieldPath } from '../../api/cel/field-path.ts'
import type { FieldError } from '../../api/errors.ts'
import { forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { itemsOf, type JsonSchema, schemaFromJson, valuesOf } from './json-schema.ts'

const schemaTypes = ['array', 'boolean', 'integer', 'number', 'object', 'string']
const metaFields = ['metadata', 'kind', 'apiVersion']

interface Place {
  path: string
  root: boolean
  /** Below the metadata, kind or apiVersion of a resource. */
  insideMeta: boolean
  /** Why a default may not stand here. */
  noDefaults: string | undefined
}

export function schemaProblems(schema: JsonSchema, path: string): FieldError[] {
  const errors: FieldError[] = []
  check(errors, schema, { path, root: true, insideMeta: false, noDefaults: undefined })
  return errors
}

function check(errors: FieldError[], schema: JsonSchema, place: Place): void {
  const { path } = place
  checkKeywords(errors, schema, place)
  if (schema.uniqueItems)
    errors.push(
      forbidden(
        `${path}.uniqueItems`,
        'uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
      ),
    )
  if (schema.additionalProperties !== undefined && Object.keys(schema.properties ?? {}).length > 0) {
    if (schema.additionalProperties !== true)
      errors.push(forbidden(`${path}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'))
  }
  checkMapType(errors, schema, path)
  checkListType(errors, schema, path)
  checkListMap(errors, schema, path)
  checkItemIdentity(errors, schema, path)
  for (const [index, rule] of (schema['x-kubernetes-validations'] ?? []).entries())
    checkRule(errors, rule, schema, `${path}.x-kubernetes-validations[${index}]`)
  checkBelow(errors, schema, place)
}

function checkBelow(errors: FieldError[], schema: JsonSchema, place: Place): void {
  const { path, root, insideMeta } = place
  const inner = { ...place, root: false }
  const values = valuesOf(schema)
  const ofMeta = insideMeta ? 'inside additionalProperties applying to object metadata' : undefined
  if (values)
    check(errors, values, {
      ...inner,
      path: `${path}.additionalProperties`,
      noDefaults: ofMeta ?? place.noDefaults,
    })
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const meta = (root || schema['x-kubernetes-embedded-resource'] === true) && metaFields.includes(name)
    check(errors, field, {
      path: `${path}.properties[${name}]`,
      root: false,
      insideMeta: insideMeta || meta,
      noDefaults: meta && root ? `in top-level ${name}` : place.noDefaults,
    })
  }
  if (schema.not) check(errors, schema.not, { ...inner, path: `${path}.not` })
  for (const name of ['allOf', 'oneOf', 'anyOf'] as const)
    for (const [index, part] of (schema[name] ?? []).entries())
      check(errors, part, { ...inner, path: `${path}.${name}[${index}]` })
  const items = itemsOf(schema)
  if (items) check(errors, items, { ...inner, path: `${path}.items` })
}

function checkKeywords(errors: FieldError[], schema: JsonSchema, place: Place): void {
  const { path } = place
  if (schema.type && !schemaTypes.includes(schema.type))
    errors.push(notSupported(`${path}.type`, schema.type, schemaTypes))
  if (schema.default !== undefined && place.noDefaults)
    errors.push(forbidden(`${path}.default`, `must not be set ${place.noDefaults}`))
  for (const name of ['id', 'additionalItems', 'patternProperties', 'definitions', 'dependencies', '$ref']) {
    const value = schema[name]
    const empty = value === undefined || value === '' || (name !== 'dependencies' && isEmptyObject(value))
    if (!empty) errors.push(forbidden(`${path}.${name}`, `${name} is not supported`))
  }
  if (schema.type === 'null')
    errors.push(forbidden(`${path}.type`, 'type cannot be set to null, use nullable as an alternative'))
  if (Array.isArray(schema.items) && schema.items.length)
    errors.push(forbidden(`${path}.items`, 'items must be a schema object and not an array'))
  if (place.insideMeta && schema['x-kubernetes-embedded-resource'])
    errors.push(forbidden(`${path}.x-kubernetes-embedded-resource`, 'must not be used inside of resource meta'))
  if (schema['x-kubernetes-preserve-unknown-fields'] === false)
    errors.push(invalidValue(`${path}.x-kubernetes-preserve-unknown-fields`, false, 'must be true or undefined'))
}

const isEmptyObject = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0

/** An extension that belongs to one type. */
function checkOwnType(errors: FieldError[], schema: JsonSchema, path: string, type: string, extension: string): void {
  if (schema.type === type) return
  const text = `must be ${type} if ${extension} is specified`
  errors.push(schema.type ? invalidValue(`${path}.type`, schema.type, text) : requiredValue(`${path}.type`, text))
}

function checkMapType(errors: FieldError[], schema: JsonSchema, path: string): void {
  const mapType = schema['x-kubernetes-map-type']
  if (mapType === undefined) return
  checkOwnType(errors, schema, path, 'object', 'x-kubernetes-map-type')
  if (mapType !== 'atomic' && mapType !== 'granular')
    errors.push(notSupported(`${path}.x-kubernetes-map-type`, mapType, ['atomic', 'granular']))
}

function checkListType(errors: FieldError[], schema: JsonSchema, path: string): void {
  const listType = schema['x-kubernetes-list-type']
  if (listType === undefined) return
  if (schema.type !== 'array') checkOwnType(errors, schema, path, 'array', 'x-kubernetes-list-type')
  else if (listType === 'set') checkSetItems(errors, itemsOf(schema), `${path}.items`)
  if (!['atomic', 'set', 'map'].includes(listType))
    errors.push(notSupported(`${path}.x-kubernetes-list-type`, listType, ['atomic', 'set', 'map']))
}

function checkSetItems(errors: FieldError[], items: JsonSchema | undefined, path: string): void {
  const text = 'must be atomic as item of a list with x-kubernetes-list-type=set'
  const listType = items?.['x-kubernetes-list-type']
  if (items?.type === 'array' && listType !== undefined && listType !== 'atomic')
    errors.push(invalidValue(`${path}.x-kubernetes-list-type`, listType, text))
  if (items?.type === 'object' && items['x-kubernetes-map-type'] !== 'atomic')
    errors.push(invalidValue(`${path}.x-kubernetes-map-type`, listType ?? null, text))
}

function checkListMap(errors: FieldError[], schema: JsonSchema, path: string): void {
  const listType = schema['x-kubernetes-list-type']
  const keys = schema['x-kubernetes-list-map-keys'] ?? []
  const keysPath = `${path}.x-kubernetes-list-map-keys`
  if (keys.length > 0 && listType !== 'map') {
    const text = 'must be map if x-kubernetes-list-map-keys is non-empty'
    const where = `${path}.x-kubernetes-list-type`
    errors.push(listType === undefined ? requiredValue(where, text) : invalidValue(where, listType, text))
  }
  if (listType !== 'map') return
  if (keys.length === 0) errors.push(requiredValue(keysPath, 'must not be empty if x-kubernetes-list-type is map'))
  const items = itemsOf(schema)
  if (schema.items === undefined)
    errors.push(requiredValue(`${path}.items`, 'must have a schema if x-kubernetes-list-type is map'))
  if (!items) return
  if (items.type !== 'object') {
    const text = "must be object if parent array's x-kubernetes-list-type is map"
    errors.push(invalidValue(`${path}.items.type`, items.type ?? '', text))
    return
  }
  const seen = new Set<string>()
  for (const key of keys) {
    const field = items.properties?.[key]
    if (!field) errors.push(invalidValue(keysPath, keys, 'entries must all be names of item properties'))
    else if (field.type === 'array' || field.type === 'object')
      errors.push(
        invalidValue(
          `${path}.items.properties[${key}].type`,
          items.type,
          "must be a scalar type if parent array's x-kubernetes-list-type is map",
        ),
      )
    if (seen.has(key)) errors.push(invalidValue(keysPath, keys, 'must not contain duplicate entries'))
    seen.add(key)
  }
}

/** Items of sets and maps must be something, and the keys of a map must always be there. */
function checkItemIdentity(errors: FieldError[], schema: JsonSchema, path: string): void {
  const listType = schema['x-kubernetes-list-type']
  const items = itemsOf(schema)
  if (!items || (listType !== 'set' && listType !== 'map')) return
  if (items.nullable)
    errors.push(forbidden(`${path}.items.nullable`, `cannot be nullable when x-kubernetes-list-type is ${listType}`))
  if (listType !== 'map') return
  for (const key of schema['x-kubernetes-list-map-keys'] ?? []) {
    const field = items.properties?.[key]
    if (!field) continue
    const where = `${path}.items.properties[${key}]`
    if (!items.required?.includes(key) && field.default === undefined)
      errors.push(
        requiredValue(
          `${where}.default`,
          'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
        ),
      )
    if (field.nullable)
      errors.push(
        forbidden(`${where}.nullable`, 'this property is in x-kubernetes-list-map-keys, so it cannot be nullable'),
      )
  }
}

const lineBreak = /[\n\r]/

/** The texts of a rule; whether it is good CEL is checked with the whole schema. */
function checkRule(
  errors: FieldError[],
  rule: NonNullable<JsonSchema['x-kubernetes-validations']>[number],
  schema: JsonSchema,
  path: string,
): void {
  const { rule: text = '', message = '', messageExpression = '', fieldPath = '' } = rule
  const notEmpty = 'must be non-empty if specified'
  if (!text.trim()) errors.push(requiredValue(`${path}.rule`, 'rule is not specified'))
  else if (message && !message.trim()) errors.push(invalidValue(`${path}.message`, message, notEmpty))
  else if (lineBreak.test(message.trim()))
    errors.push(invalidValue(`${path}.message`, message, 'must not contain line breaks'))
  else if (lineBreak.test(text.trim()) && !message.trim())
    errors.push(requiredValue(`${path}.message`, 'message must be specified if rule contains line breaks'))
  if (messageExpression && !messageExpression.trim())
    errors.push(requiredValue(`${path}.messageExpression`, 'messageExpression must be non-empty if specified'))
  if (fieldPath && !fieldPath.trim()) errors.push(invalidValue(`${path}.fieldPath`, fieldPath, notEmpty))
  if (lineBreak.test(fieldPath))
    errors.push(invalidValue(`${path}.fieldPath`, fieldPath, 'must not contain line breaks'))
  if (fieldPath && normalizeFieldPath(fieldPath, schemaFromJson(schema)) === undefined)
    errors.push(invalidValue(`${path}.fieldPath`, fieldPath, 'must be a valid path'))
}
