// One version of a CustomResourceDefinition as a kind like any other.

import { hasRules } from '../../api/cel/has-rules.ts'
import { celRules } from '../../api/cel/lazy.ts'
import type { Rules } from '../../api/cel/rules.ts'
import type { FieldError } from '../../api/errors.ts'
import { firstAt, jsonPath } from '../../api/jsonpath.ts'
import type { Column, KindDefinition, ScaleSubresource } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { groupVersion } from '../../api/meta.ts'
import type { Schema } from '../../api/schema.ts'
import { ageText } from '../../api/table.ts'
import { invalidValue } from '../../api/walk/rules.ts'
import { types } from '../types.ts'
import { finalizerWarnings } from './finalizer-warnings.ts'
import { type JsonSchema, schemaFromJson, someSchema } from './json-schema.ts'
import { embeddedProblems, metadataProblems, scaleProblems } from './object-rules.ts'

export interface AcceptedNames {
  plural: string
  singular: string
  kind: string
  listKind: string
  shortNames?: string[]
  categories?: string[]
}

/** `names` are those that the definition was given, which may be fewer than it asks for. */
export function customKind(definition: ApiObject, versionName: string, names: AcceptedNames): KindDefinition {
  const { spec } = definition
  const version = spec.versions.find((one: { name: string }) => one.name === versionName)
  const json: JsonSchema = version.schema?.openAPIV3Schema ?? {}
  const { status, scale } = version.subresources ?? {}
  const rules = rulesOf(json, scale)
  const schema: Schema = spec.preserveUnknownFields ? { type: 'object', preserveUnknown: true } : schemaFromJson(json)
  const kind: KindDefinition = {
    group: spec.group,
    version: versionName,
    kind: names.kind,
    listKind: names.listKind,
    plural: names.plural,
    singular: names.singular,
    ...(names.shortNames?.length && { shortNames: names.shortNames }),
    ...(names.categories?.length && { categories: names.categories }),
    scope: spec.scope,
    schema,
    types,
    subresources: { status: status !== undefined, ...(scale && { scale: scaleOf(scale) }) },
    columns: columnsOf(version.additionalPrinterColumns ?? []),
    validate: (object) => rules.flatMap((rule) => rule(object)),
    warnings: finalizerWarnings,
    ...concluding(schema),
    fields: selectors(version.selectableFields ?? []),
    hasGeneration: true,
    protobuf: false,
    published: json,
    example: { apiVersion: groupVersion(spec.group, versionName), kind: names.kind, metadata: { name: 'example' } },
  }
  if (version.deprecated)
    kind.deprecation = version.deprecationWarning ?? `${spec.group}/${versionName} ${names.kind} is deprecated`
  return kind
}

const blocking: readonly FieldError['type'][] = [
  ...(['FieldValueNotSupported', 'FieldValueRequired', 'FieldValueTooLong', 'FieldValueTooMany'] as const),
  'FieldValueTypeInvalid',
]

/** x-kubernetes-validations, compiled when the first object comes. */
function concluding(schema: Schema): Pick<KindDefinition, 'conclude'> {
  if (!hasRules(schema)) return {}
  let rules: Rules | undefined
  return {
    conclude(object, old, errors) {
      if (errors.some((error) => blocking.includes(error.type)))
        return [
          invalidValue(
            '<nil>',
            'null',
            'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
          ),
        ]
      rules ??= celRules().compileRules(schema)
      return rules.validate(object, old).errors
    },
  }
}

type Rule = (object: ApiObject) => FieldError[]

/** Only the rules that this schema has a use for. */
function rulesOf(json: JsonSchema, scale: Record<string, string> | undefined): Rule[] {
  const rules: Rule[] = []
  if (scale) rules.push((object) => scaleProblems(object, scale))
  if (json.properties?.metadata?.properties)
    rules.push((object) => metadataProblems(object, json.properties!.metadata!))
  if (someSchema(json, (one) => one['x-kubernetes-embedded-resource'] === true))
    rules.push((object) => embeddedProblems(object, json))
  return rules
}

function scaleOf(scale: Record<string, string>): ScaleSubresource {
  const { specReplicasPath = '', statusReplicasPath = '', labelSelectorPath } = scale
  return { specReplicasPath, statusReplicasPath, selector: labelSelectorPath || (() => '') }
}

const creationAge: Column = {
  name: 'Age',
  type: 'date',
  description:
    'CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata',
  value: '.metadata.creationTimestamp',
}

const ownName: Column = { name: 'Name', type: 'string', format: 'name', value: '.metadata.name' }

function columnsOf(declared: Record<string, any>[]): Column[] {
  if (declared.length === 0) return [creationAge]
  const columns = declared.map(columnOf)
  // A column of that name stands beside the object's own name, not for it.
  return columns.some((column) => column.name === 'Name') ? [ownName, ...columns] : columns
}

function columnOf(column: Record<string, any>): Column {
  const { name, type, format, jsonPath: path, priority, description } = column
  return {
    name,
    type,
    ...(format && { format }),
    description: description || `Custom resource definition column (in JSONPath format): ${path}`,
    ...(priority && { priority }),
    value: cellReader(type, path),
  }
}

/** A value of another type than the column's shows nothing; so does a path that cannot be read. */
function cellReader(type: Column['type'], path: string): Column['value'] {
  let read: ReturnType<typeof jsonPath>
  try {
    read = jsonPath(path)
  } catch {
    return () => null
  }
  switch (type) {
    case 'date':
      return (object, now) => {
        const value = read(object)[0]
        if (typeof value !== 'string') return null
        return Number.isNaN(Date.parse(value)) ? '<invalid>' : ageText(value, now)
      }
    case 'boolean':
      return (object) => ofType(read(object)[0], 'boolean')
    case 'integer':
    case 'number':
      return (object) => ofType(read(object)[0], 'number')
    default:
      return path
  }
}

const ofType = (value: unknown, type: string): unknown => (typeof value === type ? value : null)

function selectors(fields: { jsonPath: string }[]): NonNullable<KindDefinition['fields']> {
  const readers = fields.map(({ jsonPath: path }) => {
    const read = (object: ApiObject) => String(firstAt(object, path) ?? '')
    return [path.slice(1), read] as const
  })
  return Object.fromEntries(readers)
}
