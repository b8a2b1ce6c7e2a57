// The rules of one version of a CustomResourceDefinition: schema, columns, subresources, selectable fields
// (apiextensions pkg/apis/apiextensions/validation/validation.go, 1.36).

import { hasRules } from '../../api/cel/has-rules.ts'
import { celRuleProblems } from '../../api/cel/lazy.ts'
import type { FieldError } from '../../api/errors.ts'
import { byteLength } from '../../api/names.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { duplicateValue, forbidden, invalidValue, requiredValue, tooMany } from '../../api/walk/rules.ts'
import { defaultProblems } from './default-rules.ts'
import { type JsonSchema, schemaFromJson } from './json-schema.ts'
import { schemaProblems } from './schema-rules.ts'
import { structuralProblems } from './structural.ts'

type Version = Record<string, any>

const columnTypes = ['boolean', 'date', 'integer', 'number', 'string']
const columnFormats = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password']
const maxSelectableFields = 8

/** `before` is the version of the same name in the definition that is replaced. */
export function versionProblems(version: Version, before: Version | undefined, path: string): FieldError[] {
  const schema: JsonSchema | undefined = version.schema?.openAPIV3Schema
  return [
    ...warningProblems(version, path),
    ...(schema ? wholeSchemaProblems(schema, before?.schema?.openAPIV3Schema, version, `${path}.schema`) : []),
    ...scaleProblems(version.subresources?.scale, `${path}.subresources`),
    ...(version.additionalPrinterColumns ?? []).flatMap((column: Version, index: number) =>
      columnProblems(column, `${path}.additionalPrinterColumns[${index}]`),
    ),
    ...selectableProblems(version, before, path),
  ]
}

function warningProblems({ deprecated, deprecationWarning: text }: Version, path: string): FieldError[] {
  if (text === undefined) return []
  const say = (detail: string) => invalidValue(`${path}.deprecationWarning`, text, detail)
  if (!deprecated) return [say('can only be set for deprecated versions')]
  const errors: FieldError[] = []
  if (byteLength(text) > 256) errors.push(say('must be <= 256 characters long'))
  if (text === '') errors.push(say('must not be an empty string'))
  const at = text.search(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u)
  if (at >= 0)
    errors.push(
      say(
        `must only contain printable UTF-8 characters; non-printable character found at index ${byteLength(text.slice(0, at))}`,
      ),
    )
  return errors
}

const allowedAtRoot = [
  ...['Description', 'Type', 'Format', 'Title', 'Maximum', 'ExclusiveMaximum', 'Minimum', 'ExclusiveMinimum'],
  ...['MaxLength', 'MinLength', 'Pattern', 'MaxItems', 'MinItems', 'UniqueItems', 'MultipleOf', 'Required', 'Items'],
  ...['Properties', 'ExternalDocs', 'Example', 'XPreserveUnknownFields', 'XValidations'],
]

const goNames: Record<string, string> = {
  'x-kubernetes-preserve-unknown-fields': 'XPreserveUnknownFields',
  'x-kubernetes-validations': 'XValidations',
}

const goName = (name: string): string => goNames[name] ?? name.charAt(0).toUpperCase() + name.slice(1)

function wholeSchemaProblems(
  schema: JsonSchema,
  before: JsonSchema | undefined,
  version: Version,
  path: string,
): FieldError[] {
  const errors: FieldError[] = []
  const root = `${path}.openAPIV3Schema`
  if (version.subresources?.status) errors.push(...rootProblems(schema, root))
  if (schema.nullable) errors.push(forbidden(`${root}.nullable`, 'nullable cannot be true at the root'))
  // A schema that nobody changes is not judged again: it may come from a time with other rules.
  if (before !== undefined && equalJson(before, schema)) return errors
  const structural = structuralProblems(schema, root)
  errors.push(...structural)
  const converted = schemaFromJson(schema)
  if (structural.length === 0) errors.push(...defaultProblems(converted, root))
  errors.push(...schemaProblems(schema, root))
  // Only a good schema gives the expressions of its rules their types.
  if (errors.length > 0) return errors
  return hasRules(converted) ? celRuleProblems().ruleProblems(converted, root) : []
}

/** With a status subresource the schema of status is taken out of the whole: logic at the root would get lost. */
function rootProblems(schema: JsonSchema, path: string): FieldError[] {
  if (schema.type && schema.type !== 'object')
    return [
      invalidValue(
        `${path}.type`,
        schema.type,
        'only "object" is allowed as the type at the root of the schema if the status subresource is enabled',
      ),
    ]
  const names = Object.keys(schema).filter((name) => schema[name] !== undefined && schema[name] !== false)
  if (names.every((name) => allowedAtRoot.includes(goName(name)))) return []
  return [
    invalidValue(
      path,
      schema,
      `only [${allowedAtRoot.join(' ')}] fields are allowed at the root of the schema if the status subresource is enabled`,
    ),
  ]
}

function pathProblems(text: string | undefined, path: string): FieldError[] {
  if (!text) return [requiredValue(path)]
  return text.startsWith('.') ? [] : [invalidValue(path, text, 'must be a simple json path starting with .')]
}

function scaleProblems(scale: Version | undefined, path: string): FieldError[] {
  if (!scale) return []
  const errors: FieldError[] = []
  const under = (field: string, prefixes: string[], text: string) => {
    const problems = pathProblems(scale[field], `${path}.scale.${field}`)
    if (problems.length === 0 && !prefixes.some((prefix) => scale[field].startsWith(prefix)))
      problems.push(invalidValue(`${path}.scale.${field}`, scale[field], text))
    errors.push(...problems)
  }
  under('specReplicasPath', ['.spec.'], 'should be a json path under .spec')
  under('statusReplicasPath', ['.status.'], 'should be a json path under .status')
  if (scale.labelSelectorPath)
    under('labelSelectorPath', ['.spec.', '.status.'], 'should be a json path under either .spec or .status')
  return errors
}

function columnProblems(column: Version, path: string): FieldError[] {
  const errors: FieldError[] = []
  const oneOf = (list: string[]) => `must be one of ${list.join(',')}`
  if (!column.name) errors.push(requiredValue(`${path}.name`))
  if (!column.type) errors.push(requiredValue(`${path}.type`, oneOf(columnTypes)))
  else if (!columnTypes.includes(column.type))
    errors.push(invalidValue(`${path}.type`, column.type, oneOf(columnTypes)))
  if (column.format && !columnFormats.includes(column.format))
    errors.push(invalidValue(`${path}.format`, column.format, oneOf(columnFormats)))
  return [...errors, ...pathProblems(column.jsonPath, `${path}.JSONPath`)]
}

function selectableProblems(version: Version, before: Version | undefined, path: string): FieldError[] {
  const fields: { jsonPath?: string }[] = version.selectableFields ?? []
  if (fields.length === 0) return []
  const list = `${path}.selectableFields`
  const schema: JsonSchema | undefined = version.schema?.openAPIV3Schema
  // Upstream's own text says the opposite of what it means.
  if (!schema) return [invalidValue(list, '', 'may only be set when `version.schema.openAPIV3Schema` is not included')]
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const [index, { jsonPath = '' }] of fields.entries()) {
    const where = `${list}[${index}].jsonPath`
    if (!jsonPath) {
      errors.push(requiredValue(where))
      continue
    }
    const target = fieldAt(schema, jsonPath)
    if (typeof target === 'string') {
      errors.push(invalidValue(where, jsonPath, `is an invalid path: ${target}`))
      continue
    }
    if (jsonPath.startsWith('.metadata'))
      errors.push(invalidValue(where, jsonPath, 'must not point to fields in metadata'))
    if (!['string', 'boolean', 'integer'].includes(target.type ?? ''))
      errors.push(
        invalidValue(
          where,
          jsonPath,
          'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
        ),
      )
    if (seen.has(jsonPath)) errors.push(duplicateValue(where, jsonPath))
    seen.add(jsonPath)
  }
  const kept =
    (before?.selectableFields?.length ?? 0) > maxSelectableFields && equalJson(before!.selectableFields, fields)
  if (seen.size > maxSelectableFields && !kept) errors.push(tooMany(list, seen.size, maxSelectableFields))
  return errors
}

/** The declared field at a path like '.spec.color', or why there is none (cel.ValidFieldPath). */
function fieldAt(schema: JsonSchema, path: string): JsonSchema | string {
  if (!path.startsWith('.')) return `expected [ or . but got: ${path.slice(0, 1) || 'nothing'}`
  if (path.includes('[')) return 'expected only . but got: ['
  let at = schema
  for (const name of path.slice(1).split('.')) {
    const next = at.properties?.[name]
    if (!next) return 'does not refer to a valid field'
    at = next
  }
  return at
}
