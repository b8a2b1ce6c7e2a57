// Is a schema structural: does it say of every field what type it has, outside of all logic
// (apiextensions pkg/apiserver/schema/validation.go and complete.go, 1.36)? Pruning, defaulting and ownership need that.

import { type FieldError, fieldErrorBody } from '../../api/errors.ts'
import { patternProblem } from '../../api/walk/pattern.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden, invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { itemsOf, type JsonSchema, valuesOf } from './json-schema.ts'

type Level = 'root' | 'item' | 'field'

/** Every reason why the schema is not structural, in the order of their texts. */
export function structuralProblems(schema: JsonSchema, path: string): FieldError[] {
  const errors: FieldError[] = []
  checkInvariants(errors, schema, 'root', path)
  for (const [part, where] of nestedIn(schema, path)) checkComplete(errors, part, schema, path, where)
  const text = (error: FieldError) => `${error.field}: ${fieldErrorBody(error)}`
  return errors.sort((a, b) => (text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : 0))
}

function checkInvariants(errors: FieldError[], schema: JsonSchema, level: Level, path: string): void {
  const items = itemsOf(schema)
  if (schema.type === 'array' && !items) errors.push(requiredValue(`${path}.items`, 'must be specified'))
  if (items) checkInvariants(errors, items, 'item', `${path}.items`)
  for (const [name, field] of Object.entries(schema.properties ?? {}))
    checkInvariants(errors, field, 'field', `${path}.properties[${name}]`)
  if (schema.additionalProperties !== undefined && level === 'root')
    errors.push(forbidden(`${path}.additionalProperties`, 'must not be used at the root'))
  const values = valuesOf(schema)
  if (values) checkInvariants(errors, values, 'field', `${path}.additionalProperties`)
  checkExtensions(errors, schema, path)
  checkLogic(errors, schema, path)
  checkType(errors, schema, level, path)
  checkMetadata(errors, schema, level, path)
}

function checkExtensions(errors: FieldError[], schema: JsonSchema, path: string): void {
  if (!schema['x-kubernetes-int-or-string']) return
  for (const name of ['x-kubernetes-preserve-unknown-fields', 'x-kubernetes-embedded-resource'])
    if (schema[name])
      errors.push(invalidValue(`${path}.${name}`, true, 'must be false if x-kubernetes-int-or-string is true'))
}

const emptyTypeTexts: Record<Level, string> = {
  root: 'must not be empty at the root',
  item: 'must not be empty for specified array items',
  field: 'must not be empty for specified object fields',
}

function checkType(errors: FieldError[], schema: JsonSchema, level: Level, path: string): void {
  const { type = '' } = schema
  const embedded = schema['x-kubernetes-embedded-resource'] === true
  if (embedded && type !== 'object') {
    const text = 'must be object if x-kubernetes-embedded-resource is true'
    errors.push(type ? invalidValue(`${path}.type`, type, text) : requiredValue(`${path}.type`, text))
  } else if (!type && !schema['x-kubernetes-int-or-string'] && !schema['x-kubernetes-preserve-unknown-fields'])
    errors.push(requiredValue(`${path}.type`, emptyTypeTexts[level]))
  if (embedded && schema.additionalProperties !== undefined)
    errors.push(forbidden(`${path}.additionalProperties`, 'must not be used if x-kubernetes-embedded-resource is set'))
  if (level === 'root' && type && type !== 'object')
    errors.push(invalidValue(`${path}.type`, type, 'must be object at the root'))
  if (embedded && !schema['x-kubernetes-preserve-unknown-fields'] && !Object.keys(schema.properties ?? {}).length)
    errors.push(
      requiredValue(
        `${path}.properties`,
        'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
      ),
    )
}

/** Where an object is a whole resource, its kind and apiVersion are texts and metadata is nothing but names. */
function checkMetadata(errors: FieldError[], schema: JsonSchema, level: Level, path: string): void {
  const resource = level === 'root' || schema['x-kubernetes-embedded-resource'] === true
  const { kind, apiVersion, metadata } = schema.properties ?? {}
  const texts = { kind, apiVersion }
  for (const [name, field] of Object.entries(texts))
    if (resource && field && field.type !== 'string')
      errors.push(invalidValue(`${path}.properties[${name}].type`, field.type ?? '', 'must be string'))
  if (!metadata) return
  if (resource && metadata.type !== 'object')
    errors.push(invalidValue(`${path}.properties[metadata].type`, metadata.type ?? '', 'must be object'))
  if (level === 'root' && saysMoreThanNames(metadata))
    errors.push(
      forbidden(
        `${path}.properties[metadata]`,
        'must not specify anything other than name and generateName, but metadata is implicitly specified',
      ),
    )
}

function saysMoreThanNames(metadata: JsonSchema): boolean {
  const { type: _, default: __, properties = {}, ...rest } = metadata
  const more = Object.entries(rest).filter(([, value]) => value !== undefined && value !== false && value !== '')
  return more.length > 0 || Object.keys(properties).some((name) => name !== 'name' && name !== 'generateName')
}

const intOrString = [{ type: 'integer' }, { type: 'string' }]

/** The schemas below a schema's logic, with their places. */
function* nestedIn(schema: JsonSchema, path: string): Generator<[JsonSchema, string]> {
  if (schema.not) yield [schema.not, `${path}.not`]
  for (const name of ['allOf', 'anyOf', 'oneOf'] as const)
    for (const [index, part] of (schema[name] ?? []).entries()) yield [part, `${path}.${name}[${index}]`]
}

function checkLogic(errors: FieldError[], schema: JsonSchema, path: string, first = true): void {
  // A number or a text may be spelled out, at the top of anyOf or as the first of allOf.
  const pattern = (one: JsonSchema) => first && equalJson(one.anyOf, intOrString)
  const skipAnyOf = pattern(schema)
  for (const [part, where] of nestedIn(schema, path)) {
    if (skipAnyOf && where.startsWith(`${path}.anyOf[`)) continue
    const spelled = where === `${path}.allOf[0]` && pattern(part)
    checkNested(errors, part, where, spelled)
  }
  if (schema.pattern) {
    const problem = patternProblem(schema.pattern)
    if (problem)
      errors.push(
        invalidValue(`${path}.pattern`, schema.pattern, `must be a valid regular expression, but isn't: ${problem}`),
      )
  }
}

/** Keywords that belong to the structure and not into logic, and what upstream says of each. */
const outsideLogic: [name: string, text: string][] = [
  ['type', 'must be empty to be structural'],
  ['additionalProperties', 'must be undefined to be structural'],
  ['default', 'must be undefined to be structural'],
  ['title', 'must be empty to be structural'],
  ['description', 'must be empty to be structural'],
  ['nullable', 'must be false to be structural'],
  ['x-kubernetes-preserve-unknown-fields', 'must be false to be structural'],
  ['x-kubernetes-embedded-resource', 'must be false to be structural'],
  ['x-kubernetes-int-or-string', 'must be false to be structural'],
  ['x-kubernetes-list-map-keys', 'must be empty to be structural'],
  ['x-kubernetes-list-type', 'must be undefined to be structural'],
  ['x-kubernetes-map-type', 'must be undefined to be structural'],
  ['x-kubernetes-validations', 'must be empty to be structural'],
]

const isSet = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== '' && value !== false && !(Array.isArray(value) && !value.length)

function checkNested(errors: FieldError[], schema: JsonSchema, path: string, spelled = false): void {
  if (spelled) checkLogic(errors, { ...schema, anyOf: [] }, path, false)
  else checkLogic(errors, schema, path, false)
  const items = itemsOf(schema)
  if (items) checkNested(errors, items, `${path}.items`)
  for (const [name, field] of Object.entries(schema.properties ?? {}))
    checkNested(errors, field, `${path}.properties[${name}]`)
  for (const [name, text] of outsideLogic) if (isSet(schema[name])) errors.push(forbidden(`${path}.${name}`, text))
  if (schema.properties?.metadata)
    errors.push(forbidden(`${path}.properties[metadata]`, 'must not be specified in a nested context'))
}

/** Every field that logic speaks of must be declared in the structure. */
function checkComplete(
  errors: FieldError[],
  nested: JsonSchema,
  structure: JsonSchema | undefined,
  path: string,
  where: string,
): void {
  if (!structure) {
    errors.push(requiredValue(path, `because it is defined in ${where}`))
    return
  }
  for (const [part, place] of nestedIn(nested, where)) checkComplete(errors, part, structure, path, place)
  const items = itemsOf(nested)
  if (items) checkComplete(errors, items, itemsOf(structure), `${path}.items`, `${where}.items`)
  for (const [name, field] of Object.entries(nested.properties ?? {})) {
    const place = `properties[${name}]`
    checkComplete(errors, field, structure.properties?.[name], `${path}.${place}`, `${where}.${place}`)
  }
}
