// JSON as CEL values, by its schema or, without one, by what it is. Objects are converted when they are looked at.

import type { Schema } from '../schema.ts'
import { equalJson } from '../walk/plain.ts'
import { fromBase64 } from './bytes.ts'
import { canonicalJson } from './canonical.ts'
import { escapeName, unescapeName } from './escape.ts'
import { parseDurationText, readTimestamp } from './library/time-text.ts'
import { CelError } from './problem.ts'
import { withObjectMeta } from './schema-type.ts'
import { CelMap, Duration, equals, SchemaList } from './values.ts'

type Json = Record<string, unknown>

/** A JSON object without a schema: its keys are as they are, whole numbers are int. */
class JsonMap extends CelMap {
  private readonly json: Json
  private readonly converted = new Map<string, unknown>()
  constructor(json: Json) {
    super()
    this.json = json
  }
  get(key: unknown): unknown {
    if (typeof key !== 'string' || !Object.hasOwn(this.json, key) || this.json[key] === undefined) return undefined
    let value = this.converted.get(key)
    if (value === undefined) {
      value = jsonValue(this.json[key])
      this.converted.set(key, value)
    }
    return value
  }
  has(key: unknown): boolean {
    return typeof key === 'string' && Object.hasOwn(this.json, key) && this.json[key] !== undefined
  }
  keys(): unknown[] {
    return Object.keys(this.json).filter((key) => this.json[key] !== undefined)
  }
  get size(): number {
    return this.keys().length
  }
}

/** @param value JSON */
export function jsonValue(value: unknown): unknown {
  if (typeof value === 'number') return Number.isInteger(value) && Math.abs(value) < 2 ** 63 ? BigInt(value) : value
  if (value === null || typeof value !== 'object') return value ?? null
  return Array.isArray(value) ? value.map(jsonValue) : new JsonMap(value as Json)
}

/** An object with the properties of a schema, by their escaped names; or a map. */
class SchemaMap extends CelMap {
  private readonly json: Json
  private readonly schema: Schema
  private readonly named: boolean
  private readonly converted = new Map<string, unknown>()
  constructor(json: Json, schema: Schema) {
    super()
    this.json = json
    this.schema = schema
    this.named = schema.properties !== undefined
    if (this.named) this.typeName = 'object'
  }
  private property(key: unknown): string | undefined {
    if (typeof key !== 'string') return undefined
    const name = this.named ? unescapeName(key) : key
    if (name === undefined || !Object.hasOwn(this.json, name)) return undefined
    // A property that is null is the same as one that is not there.
    const value = this.json[name]
    if (value === undefined || (value === null && this.named)) return undefined
    // What the schema does not name is not there for expressions.
    return this.named && !this.schema.properties![name] ? undefined : name
  }
  get(key: unknown): unknown {
    const name = this.property(key)
    if (name === undefined) return undefined
    let value = this.converted.get(name)
    if (value === undefined) {
      const schema = this.named ? this.schema.properties![name] : this.schema.additionalProperties
      value = schema ? schemaValue(this.json[name], schema) : jsonValue(this.json[name])
      this.converted.set(name, value)
    }
    return value
  }
  has(key: unknown): boolean {
    return this.property(key) !== undefined
  }
  keys(): unknown[] {
    const names = Object.keys(this.json)
    if (!this.named) return names
    return names.filter((name) => this.schema.properties![name]).map((name) => escapeName(name) ?? name)
  }
  get size(): number {
    return Object.keys(this.json).length
  }
  /** What the schema does not name is compared too, as it is. */
  override sameAs(other: CelMap): boolean {
    return Object.keys(this.json).every((name) => {
      if (!this.named || this.schema.properties![name]) {
        const key = this.named ? (escapeName(name) ?? name) : name
        return this.has(key) === other.has(key) && (!this.has(key) || equals(this.get(key), other.get(key)))
      }
      return !(other instanceof SchemaMap) || !(name in other.json) || equalJson(this.json[name], other.json[name])
    })
  }
}

/** @throws CelError when the data does not fit: reported as upstream does */
export function schemaValue(value: unknown, schema: Schema, root = false): unknown {
  if (value === null || value === undefined) {
    if (schema.nullable) return null
    throw new CelError('invalid data, got null for schema with nullable=false')
  }
  if (schema.intOrString) {
    if (typeof value === 'string') return value
    if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value)
    throw new CelError('invalid data, expected XIntOrString value to be either a string or integer')
  }
  switch (schema.type) {
    case 'object': {
      if (typeof value !== 'object' || Array.isArray(value)) {
        throw new CelError('invalid data, expected a map for the provided schema with type=object')
      }
      return new SchemaMap(value as Json, root || schema.embedded ? withObjectMeta(schema) : schema)
    }
    case 'array':
      return listValue(value, schema)
    case 'string':
      return stringValue(value, schema)
    case 'number':
      if (typeof value === 'number') return value
      throw new CelError(`invalid data, expected float, got ${goType(value)}`)
    case 'integer':
      if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value)
      throw new CelError(`invalid data, expected int, got ${goType(value)}`)
    case 'boolean':
      if (typeof value === 'boolean') return value
      throw new CelError(`invalid data, expected bool, got ${goType(value)}`)
  }
  if (schema.preserveUnknown) return jsonValue(value)
  throw new CelError(
    'invalid type, expected object, array, number, integer, boolean or string, or no type with x-kubernetes-int-or-string or x-kubernetes-preserve-unknown-fields is true',
  )
}

function listValue(value: unknown, schema: Schema): unknown[] {
  if (!Array.isArray(value))
    throw new CelError('invalid data, expected an array for the provided schema with type=array')
  const { items, listType, listMapKeys } = schema
  if (!items) throw new CelError('invalid array type, expected Items with a non-empty Schema')
  const converted = value.map((item) => schemaValue(item, items))
  if (listType === 'set') return SchemaList.create(converted, canonicalJson)
  if (listType !== 'map') return converted
  const keys = (listMapKeys ?? []).map((key) => escapeName(key) ?? key)
  return SchemaList.create(converted, (item) =>
    item instanceof CelMap ? canonicalJson(keys.map((key) => item.get(key) ?? null)) : '',
  )
}

function stringValue(value: unknown, schema: Schema): unknown {
  if (typeof value !== 'string') throw new CelError(`invalid data, expected string, got ${goType(value)}`)
  switch (schema.format) {
    case 'duration':
      return new Duration(parseDurationText(value))
    case 'date':
    case 'date-time': {
      const time = readTimestamp(schema.format === 'date' ? `${value}T00:00:00Z` : value.replace(' ', 'T'))
      if (time === undefined) throw new CelError(`Invalid ${schema.format} formatted string ${value}`)
      return time
    }
    case 'byte': {
      const bytes = fromBase64(value)
      if (!bytes) throw new CelError(`Invalid byte formatted string ${value}`)
      return bytes
    }
  }
  return value
}

function goType(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64'
  if (typeof value === 'boolean') return 'bool'
  return typeof value === 'string' ? 'string' : Array.isArray(value) ? '[]interface {}' : 'map[string]interface {}'
}
