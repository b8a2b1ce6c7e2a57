// Request bodies in Kubernetes' protobuf form, as several kubectl commands send them: the four bytes "k8s\0", a
// runtime.Unknown envelope, and a message that the schemas' field numbers describe. Only read, never written: every
// client that sends protobuf takes JSON for an answer.

import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { ApiError } from '../api/errors.ts'
import { parseGroupVersion } from '../api/meta.ts'
import type { Schema } from '../api/schema.ts'
import { formatDurationNanos } from '../api/time.ts'
import { settable } from '../api/walk/plain.ts'
import { types } from '../kinds/types.ts'

type Json = Record<string, unknown>

/** One field of a message: where it goes in the JSON object, or the type of an embedded message. */
interface Field {
  name?: string
  schema?: Schema
  inline?: string
}

const magic = [0x6b, 0x38, 0x73, 0x00]
const maxDepth = 100

/** The object in a body of type application/vnd.kubernetes.protobuf. @throws ApiError BadRequest */
export function decodeProtobuf(bytes: Uint8Array): Json {
  if (bytes.length < 4 || magic.some((byte, index) => bytes[index] !== byte))
    throw badRequest('the body does not begin with the four bytes of Kubernetes protobuf')
  try {
    const { apiVersion, kind, raw } = readEnvelope(bytes.subarray(4))
    const object: Json = { apiVersion, kind }
    readMessage(new BinaryReader(raw), typeOf(apiVersion, kind), object, 0)
    return object
  } catch (error) {
    if (error instanceof ApiError) throw error
    throw badRequest(`the body is not a readable protobuf message: ${(error as Error).message}`)
  }
}

const badRequest = (message: string) => new ApiError('BadRequest', message)

function readEnvelope(bytes: Uint8Array): { apiVersion: string; kind: string; raw: Uint8Array } {
  const envelope = { apiVersion: '', kind: '', raw: new Uint8Array() as Uint8Array }
  eachField(new BinaryReader(bytes), (reader, number, wire) => {
    if (number === 1) {
      eachField(new BinaryReader(reader.bytes()), (inner, field, innerWire) => {
        if (field === 1) envelope.apiVersion = inner.string()
        else if (field === 2) envelope.kind = inner.string()
        else inner.skip(innerWire)
      })
    } else if (number === 2) envelope.raw = reader.bytes()
    else if (number === 3) {
      if (reader.string()) throw badRequest('the body is compressed, which is not supported')
    } else reader.skip(wire)
  })
  return envelope
}

/** 'apps/v1', 'Deployment' → 'apps.v1.Deployment'; options belong to no group of their own. */
function typeOf(apiVersion: string, kind: string): string {
  const { group, version } = parseGroupVersion(apiVersion)
  const name = `${group.split('.')[0] || 'core'}.${version}.${kind}`
  if (name in types) return name
  if (`meta.v1.${kind}` in types) return `meta.v1.${kind}`
  throw badRequest(`no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`)
}

function eachField(reader: BinaryReader, read: (reader: BinaryReader, field: number, wire: WireType) => void): void {
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag()
    read(reader, field, wire)
  }
}

const fieldTables = new Map<string, Map<number, Field>>()

function fieldsOf(typeName: string): Map<number, Field> {
  const known = fieldTables.get(typeName)
  if (known) return known
  const schema = types[typeName]
  if (!schema) throw new Error(`no type ${typeName}`)
  const table = new Map<number, Field>()
  for (const [name, field] of Object.entries(schema.properties ?? {}))
    if (field.proto !== undefined) table.set(field.proto, { name, schema: field })
  for (const [number, inline] of Object.entries(schema.protoInline ?? {})) table.set(Number(number), { inline })
  fieldTables.set(typeName, table)
  return table
}

function readMessage(reader: BinaryReader, typeName: string, into: Json, depth: number): void {
  if (depth > maxDepth) throw badRequest('the message is nested too deeply')
  const fields = fieldsOf(typeName)
  eachField(reader, (_, number, wire) => {
    const field = fields.get(number)
    if (!field) reader.skip(wire)
    else if (field.inline) readMessage(new BinaryReader(reader.bytes()), field.inline, into, depth + 1)
    else readField(reader, wire, field.name!, field.schema!, into, depth)
  })
}

function readField(
  reader: BinaryReader,
  wire: WireType,
  name: string,
  schema: Schema,
  into: Json,
  depth: number,
): void {
  if (schema.type === 'array' && !schema.protoWrapped) {
    into[name] ??= []
    const list = into[name] as unknown[]
    const items = schema.items!
    // Numbers may come packed into one field.
    if (wire === WireType.LengthDelimited && isVarint(items)) {
      const packed = new BinaryReader(reader.bytes())
      while (packed.pos < packed.len) list.push(readValue(packed, items, undefined, depth))
    } else list.push(readValue(reader, items, undefined, depth))
  } else if (schema.additionalProperties) {
    into[name] ??= {}
    readEntry(reader, schema.additionalProperties, into[name] as Json, depth)
  } else {
    const value = readValue(reader, schema, into[name], depth)
    if (value !== undefined && (schema.keepZero || !isZero(value))) into[name] = value
  }
}

const isVarint = (schema: Schema) => schema.type === 'integer' || schema.type === 'boolean'
/** What Go sends for a field that was never set and that JSON leaves out. */
const isZero = (value: unknown) => value === '' || value === 0 || value === false

function readEntry(reader: BinaryReader, schema: Schema, into: Json, depth: number): void {
  let key = ''
  let value: unknown
  eachField(new BinaryReader(reader.bytes()), (entry, number, wire) => {
    if (number === 1) key = entry.string()
    else if (number === 2) value = readValue(entry, schema, undefined, depth)
    else entry.skip(wire)
  })
  if (settable(key)) into[key] = value ?? emptyOf(schema)
}

function emptyOf(schema: Schema): unknown {
  if (schema.format === 'quantity') return '0'
  if (schema.type === 'array') return []
  if (schema.type === 'integer' || schema.type === 'number') return 0
  return schema.type === 'boolean' ? false : schema.type === 'string' ? '' : {}
}

function readValue(reader: BinaryReader, schema: Schema, before: unknown, depth: number): unknown {
  if (schema.ref) {
    const object = (before ?? {}) as Json
    readMessage(new BinaryReader(reader.bytes()), schema.ref, object, depth + 1)
    return object
  }
  if (schema.intOrString) return readIntOrString(new BinaryReader(reader.bytes()))
  if (schema.protoChoice) return readChoice(reader.bytes(), schema.protoChoice, depth)
  if (schema.preserveUnknown) return readRaw(reader.bytes())
  switch (schema.type) {
    case 'array':
      return readWrapped(reader.bytes(), schema, depth)
    case 'integer':
      // One reading fits all widths: int32 comes sign-extended to 64 bits.
      return Number(reader.int64())
    case 'number':
      return reader.double()
    case 'boolean':
      return reader.bool()
    default:
      return readText(reader, schema.format)
  }
}

function readText(reader: BinaryReader, format: string | undefined): unknown {
  switch (format) {
    case 'byte':
      return Buffer.from(reader.bytes()).toString('base64')
    case 'quantity':
      return readFirst(reader.bytes(), (inner) => inner.string()) ?? '0'
    case 'duration':
      return formatDurationNanos(BigInt(readFirst(reader.bytes(), (inner) => inner.int64()) ?? 0))
    case 'date-time':
    case 'micro-time':
      return readTime(reader.bytes(), format === 'micro-time')
    default:
      return reader.string()
  }
}

/** The value of field 1 of a message that has nothing else. */
function readFirst<T>(bytes: Uint8Array, read: (reader: BinaryReader) => T): T | undefined {
  let value: T | undefined
  eachField(new BinaryReader(bytes), (reader, number, wire) => {
    if (number === 1) value = read(reader)
    else reader.skip(wire)
  })
  return value
}

function readWrapped(bytes: Uint8Array, schema: Schema, depth: number): unknown[] {
  const list: unknown[] = []
  eachField(new BinaryReader(bytes), (reader, number, wire) => {
    if (number === 1) list.push(readValue(reader, schema.items!, undefined, depth))
    else reader.skip(wire)
  })
  return list
}

function readIntOrString(reader: BinaryReader): unknown {
  const value = { kind: 0, number: 0, text: '' }
  eachField(reader, (_, field, wire) => {
    if (field === 1) value.kind = Number(reader.int64())
    else if (field === 2) value.number = Number(reader.int64())
    else if (field === 3) value.text = reader.string()
    else reader.skip(wire)
  })
  return value.kind === 1 ? value.text : value.number
}

/** A value that takes one of several forms; where a schema stands beside a boolean, the schema says more. */
function readChoice(bytes: Uint8Array, forms: Record<number, Schema>, depth: number): unknown {
  const found = new Map<number, unknown>()
  eachField(new BinaryReader(bytes), (reader, number, wire) => {
    const form = forms[number]
    if (!form) reader.skip(wire)
    else if (form.type !== 'array') found.set(number, readValue(reader, form, found.get(number), depth))
    else
      found.set(number, [...((found.get(number) ?? []) as unknown[]), readValue(reader, form.items!, undefined, depth)])
  })
  const values = [...found.values()]
  return values.find((value) => typeof value === 'object') ?? values[0]
}

function readRaw(bytes: Uint8Array): unknown {
  const raw = readFirst(bytes, (reader) => reader.bytes())
  return raw?.length ? JSON.parse(Buffer.from(raw).toString('utf8')) : undefined
}

/** An empty message is Go's zero time, which JSON writes as null: no time at all. */
function readTime(bytes: Uint8Array, micro: boolean): string | undefined {
  if (bytes.length === 0) return undefined
  let seconds = 0
  let nanos = 0
  eachField(new BinaryReader(bytes), (reader, field, wire) => {
    if (field === 1) seconds = Number(reader.int64())
    else if (field === 2) nanos = Number(reader.int64())
    else reader.skip(wire)
  })
  const text = new Date(seconds * 1000).toISOString().slice(0, 19)
  return micro ? `${text}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z` : `${text}Z`
}
