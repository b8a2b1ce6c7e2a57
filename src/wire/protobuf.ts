// Protocol Buffers by table: a message is data (field name → number, type, list or map), and one function reads or
// writes any of them. No generated code.

import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'

interface ScalarValues {
  string: string
  bytes: Uint8Array
  bool: boolean
  int32: number
  uint32: number
  /** As a number: exact up to 2^53, rounded beyond. */
  int64: number
  uint64: number
  /** int64 as a bigint, where every digit counts (nanoseconds since 1970). */
  bigint64: bigint
  float: number
  double: number
}

export type Scalar = keyof ScalarValues

/** A function where the table refers to itself or to a later one. */
export type FieldType = Scalar | Message | (() => Message)

/** [number, type], [number, type, 'list'] or, for map<string, type>, [number, type, 'map']. Enums are 'int32'. */
export type Field = readonly [number: number, type: FieldType, shape?: 'list' | 'map']

export interface Message {
  readonly [field: string]: Field
}

/** Names a table; keeps its literal type. */
export const message = <const T extends Message>(fields: T): T => fields

type One<T extends FieldType> = T extends Scalar ? ScalarValues[T] : T extends Message ? Decoded<T> : any
type Plain<F extends Field> = F[2] extends 'list'
  ? One<F[1]>[]
  : F[2] extends 'map'
    ? Record<string, One<F[1]>>
    : One<F[1]>
type Present<F extends Field> = F[2] extends 'list' | 'map' ? true : F[1] extends Scalar ? true : false

/** What `decode` returns: scalars, lists and maps always there, messages only if they were sent. */
export type Decoded<T extends Message> = {
  -readonly [K in keyof T as Present<T[K]> extends true ? K : never]: Plain<T[K]>
} & { -readonly [K in keyof T as Present<T[K]> extends true ? never : K]?: Plain<T[K]> }

type OneIn<T extends FieldType> = T extends Scalar ? ScalarValues[T] : T extends Message ? Encodable<T> : any
type PlainIn<F extends Field> = F[2] extends 'list'
  ? readonly OneIn<F[1]>[]
  : F[2] extends 'map'
    ? Readonly<Record<string, OneIn<F[1]>>>
    : OneIn<F[1]>

/** What `encode` takes: every field optional. */
export type Encodable<T extends Message> = { -readonly [K in keyof T]?: PlainIn<T[K]> | undefined }

/** A message inside a message inside …: more than any honest sender needs, less than the stack has. */
const maxDepth = 100

const numbers = new WeakMap<Message, Map<number, [name: string, field: Field]>>()

function byNumber(table: Message): Map<number, [string, Field]> {
  let map = numbers.get(table)
  if (!map) {
    map = new Map(Object.entries(table).map(([name, field]) => [field[0], [name, field]]))
    numbers.set(table, map)
  }
  return map
}

const tableOf = (type: Message | (() => Message)): Message => (typeof type === 'function' ? type() : type)

const zeros: { [S in Scalar]: () => ScalarValues[S] } = {
  string: () => '',
  bytes: () => new Uint8Array(),
  bool: () => false,
  int32: () => 0,
  uint32: () => 0,
  int64: () => 0,
  uint64: () => 0,
  bigint64: () => 0n,
  float: () => 0,
  double: () => 0,
}

const wireTypes: Record<Scalar, WireType> = {
  string: WireType.LengthDelimited,
  bytes: WireType.LengthDelimited,
  bool: WireType.Varint,
  int32: WireType.Varint,
  uint32: WireType.Varint,
  int64: WireType.Varint,
  uint64: WireType.Varint,
  bigint64: WireType.Varint,
  float: WireType.Bit32,
  double: WireType.Bit64,
}

function readScalar(reader: BinaryReader, type: Scalar): unknown {
  switch (type) {
    case 'int64':
      return Number(reader.int64())
    case 'uint64':
      return Number(reader.uint64())
    case 'bigint64':
      return BigInt(reader.int64())
    case 'bytes':
      // A copy: the buffer that came in may be reused or be much larger.
      return Uint8Array.from(reader.bytes())
    default:
      return reader[type]()
  }
}

function writeScalar(writer: BinaryWriter, type: Scalar, value: any): void {
  if (type === 'bigint64') writer.int64(value)
  else
    (writer[type] as (value: any) => unknown).call(
      writer,
      type === 'int64' || type === 'uint64' ? BigInt(value) : value,
    )
}

function readOne(reader: BinaryReader, type: FieldType, sparse: boolean, depth: number): unknown {
  if (typeof type === 'string') return readScalar(reader, type)
  if (depth >= maxDepth) throw new Error(`protobuf message is nested deeper than ${maxDepth}`)
  const length = reader.uint32()
  if (length > reader.len - reader.pos) throw new RangeError('protobuf message is cut short')
  return read(tableOf(type), reader, reader.pos + length, sparse, depth + 1)
}

/** A key like "__proto__" must become a plain property. */
const setOwn = (target: Record<string, unknown>, key: string, value: unknown): void => {
  if (key === '__proto__')
    Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true })
  else target[key] = value
}

function readEntry(reader: BinaryReader, type: FieldType, sparse: boolean, depth: number): [string, unknown] {
  const length = reader.uint32()
  const end = reader.pos + length
  if (end > reader.len) throw new RangeError('protobuf map entry is cut short')
  let key = ''
  let value: unknown
  while (reader.pos < end) {
    const [number, wire] = reader.tag()
    if (number === 1) key = reader.string()
    else if (number === 2) value = readOne(reader, type, sparse, depth)
    else reader.skip(wire, number)
  }
  if (value === undefined) value = typeof type === 'string' ? zeros[type]() : fill(tableOf(type), {}, sparse)
  return [key, value]
}

function fill(table: Message, result: Record<string, unknown>, sparse: boolean): Record<string, unknown> {
  if (sparse) return result
  for (const [name, [, type, shape]] of Object.entries(table)) {
    if (result[name] !== undefined) continue
    if (shape) result[name] = shape === 'list' ? [] : {}
    else if (typeof type === 'string') result[name] = zeros[type]()
  }
  return result
}

function readField(
  reader: BinaryReader,
  wire: WireType,
  field: Field,
  target: Record<string, any>,
  name: string,
  sparse: boolean,
  depth: number,
) {
  const [, type, shape] = field
  if (shape === 'map') {
    const [key, value] = readEntry(reader, type, sparse, depth)
    target[name] ??= {}
    setOwn(target[name], key, value)
  } else if (shape === 'list') {
    target[name] ??= []
    const packed = typeof type === 'string' && wire === WireType.LengthDelimited && wireTypes[type] !== wire
    if (!packed) target[name].push(readOne(reader, type, sparse, depth))
    else for (const end = reader.uint32() + reader.pos; reader.pos < end; ) target[name].push(readScalar(reader, type))
  } else target[name] = readOne(reader, type, sparse, depth)
}

function read(
  table: Message,
  reader: BinaryReader,
  end: number,
  sparse: boolean,
  depth: number,
): Record<string, unknown> {
  const known = byNumber(table)
  const result: Record<string, any> = {}
  while (reader.pos < end) {
    const [number, wire] = reader.tag()
    const entry = known.get(number)
    if (!entry) reader.skip(wire, number)
    else readField(reader, wire, entry[1], result, entry[0], sparse, depth)
  }
  if (reader.pos !== end) throw new RangeError('protobuf message does not end where its length says')
  return fill(table, result, sparse)
}

/** Reads a proto3 message: what was not sent has its zero value. @throws RangeError or Error when the bytes are not one. */
export function decode<T extends Message>(table: T, bytes: Uint8Array): Decoded<T> {
  return read(table, new BinaryReader(bytes), bytes.length, false, 0) as Decoded<T>
}

/** Reads a message and keeps only what was sent (proto2, where presence means something). */
export function decodeSparse<T extends Message>(table: T, bytes: Uint8Array): Encodable<T> {
  return read(table, new BinaryReader(bytes), bytes.length, true, 0) as Encodable<T>
}

function writeOne(writer: BinaryWriter, number: number, type: FieldType, value: unknown): void {
  if (typeof type === 'string') {
    writer.tag(number, wireTypes[type])
    writeScalar(writer, type, value)
  } else {
    writer.tag(number, WireType.LengthDelimited).fork()
    write(tableOf(type), writer, value as Record<string, unknown>)
    writer.join()
  }
}

function write(table: Message, writer: BinaryWriter, value: Record<string, unknown>): void {
  for (const [name, [number, type, shape]] of Object.entries(table)) {
    const field = value[name]
    if (field === undefined || field === null) continue
    if (shape === 'list') for (const item of field as unknown[]) writeOne(writer, number, type, item)
    else if (shape === 'map')
      for (const [key, item] of Object.entries(field as object)) {
        writer.tag(number, WireType.LengthDelimited).fork()
        writeOne(writer, 1, 'string', key)
        writeOne(writer, 2, type, item)
        writer.join()
      }
    else writeOne(writer, number, type, field)
  }
}

/** Lists of numbers are written unpacked, which every reader must accept. */
export function encode<T extends Message>(table: T, value: Encodable<T>): Uint8Array {
  const writer = new BinaryWriter()
  write(table, writer, value as Record<string, unknown>)
  return writer.finish()
}
