// The CEL type of a schema, with the sizes it promises (facts of k8s.io/apiserver/pkg/cel/common/schemas.go, 1.36).

import type { Schema } from '../schema.ts'
import { byteLength } from './bytes.ts'
import { escapeName } from './escape.ts'
import type { Type } from './types.ts'
import * as types from './types.ts'

/** Upstream's largest request. */
const maxRequest = 3 * 1024 * 1024

const text: Schema = { type: 'string' }

/** apiVersion, kind, metadata.name and metadata.generateName can be named at the root of every resource. */
export function withObjectMeta(schema: Schema): Schema {
  const { properties = {} } = schema
  const own = properties.metadata?.properties
  const capped = (name: string, max: number): Schema => ({
    type: 'string',
    maxLength: Math.min(own?.[name]?.maxLength ?? max, max),
  })
  const metadata: Schema = {
    type: 'object',
    properties: { name: capped('name', 253), generateName: capped('generateName', 252) },
  }
  const complete =
    properties.kind?.type === 'string' &&
    properties.apiVersion?.type === 'string' &&
    own?.name?.type === 'string' &&
    own.generateName?.type === 'string'
  if (complete) return schema
  return { ...schema, properties: { ...properties, kind: text, apiVersion: text, metadata } }
}

const sized = (type: Type, minSize: number, maxElements?: number): Type => ({ ...type, minSize, maxElements })

/** undefined: values of that schema are not visible to expressions. */
export function schemaType(schema: Schema, root = false): Type | undefined {
  if (schema.intOrString) {
    return sized(types.dynType, 1, schema.maxLength === undefined ? maxRequest - 2 : schema.maxLength * 4)
  }
  const own = root ? withObjectMeta(schema) : schema
  switch (own.type) {
    case 'array':
      return arrayType(own)
    case 'object':
      return own.additionalProperties && !root ? mapType(own) : objectType(own)
    case 'string':
      return stringType(own)
    case 'boolean':
      return sized(types.boolType, 4, 0)
    case 'number':
      return sized(types.doubleType, 1, 0)
    case 'integer':
      return sized(types.intType, 1, 0)
  }
  return undefined
}

function arrayType(schema: Schema): Type | undefined {
  const item = schema.items && schemaType(schema.items, schema.items.embedded)
  if (!item) return undefined
  const max =
    schema.maxItems === undefined ? Math.floor((maxRequest - 2) / (item.minSize! + 1)) : Math.max(0, schema.maxItems)
  return { ...types.listOf(item, max), minSize: 2 }
}

function mapType(schema: Schema): Type | undefined {
  const value = schemaType(schema.additionalProperties!, schema.additionalProperties!.embedded)
  if (!value) return undefined
  const { maxProperties } = schema
  const max =
    maxProperties === undefined ? Math.floor((maxRequest - 2) / (value.minSize! + 6)) : Math.max(0, maxProperties)
  // Upstream takes keys for empty: what is said of each of them costs as much as of ''.
  return { ...types.mapOf(sized(types.stringType, 2, 0), value, max), minSize: 2 }
}

function objectType(schema: Schema): Type {
  const fields = new Map<string, Type>()
  let minSize = 2
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const type = schemaType(property, property.embedded)
    if (!type) continue
    const escaped = escapeName(name)
    if (escaped !== undefined) fields.set(escaped, type)
    if (schema.required?.includes(name) && property.default === undefined) minSize += name.length + type.minSize! + 4
  }
  return {
    ...types.structType('object', (name) => fields.get(name) ?? fields.get(escapeName(name) ?? '')),
    minSize,
    maxElements: 0,
  }
}

function stringType(schema: Schema): Type {
  switch (schema.format) {
    case 'byte':
      return sized(types.bytesType, 2, schema.maxLength ?? maxRequest - 2)
    case 'duration':
      return sized(types.durationType, 3, 32)
    case 'date':
      return sized(types.timestampType, 12, 12)
    case 'date-time':
      return sized(types.timestampType, 21, 32)
  }
  if (schema.maxLength !== undefined) return sized(types.stringType, 2, Math.max(0, schema.maxLength) * 4)
  const words = schema.enum?.filter((value) => typeof value === 'string') as string[] | undefined
  if (!schema.enum || schema.enum.length === 0) return sized(types.stringType, 2, maxRequest - 2)
  return sized(types.stringType, 2, Math.max(0, ...words!.map((word) => byteLength(word))))
}
