// CEL's values at run time. int is bigint, double is number, bool, string and null are JavaScript's own, bytes are
// Uint8Array, lists are arrays; what JavaScript lacks is here, with equality and order across types.

import { compareBytes, utf8 } from './bytes.ts'
import { CelError, noSuchOverload } from './problem.ts'
import type { Type } from './types.ts'
import * as types from './types.ts'

export class Uint {
  readonly value: bigint
  constructor(value: bigint) {
    this.value = value
  }
}

/** Nanoseconds since 1970, and the offset from UTC (minutes) in which it was written. */
export class Timestamp {
  readonly ns: bigint
  readonly offset: number
  constructor(ns: bigint, offset = 0) {
    this.ns = ns
    this.offset = offset
  }
}

/** Nanoseconds. */
export class Duration {
  readonly ns: bigint
  constructor(ns: bigint) {
    this.ns = ns
  }
}

/** A type as a value: `type(x) == string`. */
export class TypeValue {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}

export class Optional {
  static readonly none = new Optional(undefined)
  private readonly content: unknown
  private constructor(content: unknown) {
    this.content = content
  }
  static of(value: unknown): Optional {
    return new Optional(value)
  }
  get present(): boolean {
    return this.content !== undefined
  }
  get value(): unknown {
    if (this.content === undefined) throw new CelError('optional.none() dereference')
    return this.content
  }
}

/** A value of a type that Kubernetes adds: Quantity, IP, URL … */
export abstract class CelObject {
  abstract readonly type: Type
  equals(other: CelObject): boolean {
    return this === other
  }
  /** What `size()` would cost; 1 when it has none. */
  get costSize(): number {
    return 1
  }
}

/** Maps and objects. */
export abstract class CelMap {
  /** The value of a key, undefined when it has none. */
  abstract get(key: unknown): unknown
  abstract has(key: unknown): boolean
  abstract keys(): unknown[]
  abstract readonly size: number
  /** The name of its type when it is an object (`Object.spec`). */
  typeName?: string
  /** Equality that knows more than keys and values. */
  sameAs?(other: CelMap): boolean
}

/** int, uint and whole doubles of one value are one key. */
export function mapKey(key: unknown): unknown {
  if (key instanceof Uint) return key.value
  if (typeof key === 'number' && Number.isInteger(key)) return BigInt(key)
  return key
}

/** A map that an expression built. */
export class ValueMap extends CelMap {
  private readonly entries: Map<unknown, [unknown, unknown]>
  constructor(entries: Iterable<[unknown, unknown]> = []) {
    super()
    this.entries = new Map()
    for (const [key, value] of entries) this.entries.set(mapKey(key), [key, value])
  }
  get(key: unknown): unknown {
    return this.entries.get(mapKey(key))?.[1]
  }
  has(key: unknown): boolean {
    return this.entries.has(mapKey(key))
  }
  keys(): unknown[] {
    return [...this.entries.values()].map(([key]) => key)
  }
  get size(): number {
    return this.entries.size
  }
  /** A copy with one entry more. */
  with(key: unknown, value: unknown): ValueMap {
    if (this.has(key)) throw new CelError(`insert failed: key ${String(mapKey(key))} already exists`)
    return new ValueMap([...this.entries.values(), [key, value]])
  }
}

/** A list with `x-kubernetes-list-type: set` or `map`: equality and `+` follow it. */
export class SchemaList extends Array<unknown> {
  /** What identifies an item among the others. */
  keyOf!: (item: unknown) => string
  static override get [Symbol.species](): ArrayConstructor {
    return Array
  }
  static create(items: unknown[], keyOf: (item: unknown) => string): SchemaList {
    const list = new SchemaList()
    for (const item of items) list.push(item)
    list.keyOf = keyOf
    return list
  }
}

export function typeOf(value: unknown): Type {
  switch (typeof value) {
    case 'bigint':
      return types.intType
    case 'number':
      return types.doubleType
    case 'string':
      return types.stringType
    case 'boolean':
      return types.boolType
  }
  if (value === null) return types.nullType
  if (Array.isArray(value)) return types.listOf(types.dynType)
  if (value instanceof CelMap) {
    return value.typeName ? types.structType(value.typeName) : types.mapOf(types.dynType, types.dynType)
  }
  if (value instanceof Uint8Array) return types.bytesType
  if (value instanceof Uint) return types.uintType
  if (value instanceof Timestamp) return types.timestampType
  if (value instanceof Duration) return types.durationType
  if (value instanceof Optional) return types.optionalOf(types.dynType)
  if (value instanceof CelObject) return value.type
  if (value instanceof TypeValue) return types.typeType
  throw new CelError('a value that CEL does not know')
}

/** As `type()` and messages print it. */
export function typeName(value: unknown): string {
  const type = typeOf(value)
  if (type.kind === 'list' || type.kind === 'map') return type.kind
  if (type.kind === 'optional') return 'optional_type'
  if (type.kind === 'null') return 'null_type'
  return type.name
}

const numeric = (value: unknown): bigint | number | undefined =>
  typeof value === 'bigint' || typeof value === 'number' ? value : value instanceof Uint ? value.value : undefined

export function equals(a: unknown, b: unknown): boolean {
  if (a === b) return true
  const x = numeric(a)
  if (x !== undefined) {
    const y = numeric(b)
    // biome-ignore lint/suspicious/noDoubleEquals: compares bigint and number by value
    return y !== undefined && x == y
  }
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return false
  if (Array.isArray(a)) return Array.isArray(b) && sameLists(a, b)
  if (a instanceof CelMap) return b instanceof CelMap && sameMaps(a, b)
  if (a instanceof Uint8Array) return b instanceof Uint8Array && compareBytes(a, b) === 0
  if (a instanceof Timestamp) return b instanceof Timestamp && a.ns === b.ns
  if (a instanceof Duration) return b instanceof Duration && a.ns === b.ns
  if (a instanceof TypeValue) return b instanceof TypeValue && a.name === b.name
  if (a instanceof Optional) {
    return b instanceof Optional && a.present === b.present && (!a.present || equals(a.value, b.value))
  }
  if (a instanceof CelObject) return b instanceof CelObject && a.type.name === b.type.name && a.equals(b)
  return false
}

function sameLists(a: unknown[], b: unknown[]): boolean {
  if (a.length !== b.length) return false
  if (a instanceof SchemaList) {
    const items = new Map(a.map((item) => [a.keyOf(item), item]))
    const seen = new Set<string>()
    for (const item of b) {
      const key = a.keyOf(item)
      if (!items.has(key) || !equals(items.get(key), item)) return false
      seen.add(key)
    }
    return seen.size === items.size
  }
  return a.every((item, i) => equals(item, b[i]))
}

function sameMaps(a: CelMap, b: CelMap): boolean {
  if (a.size !== b.size) return false
  if (a.sameAs) return a.sameAs(b)
  return a.keys().every((key) => b.has(key) && equals(a.get(key), b.get(key)))
}

/** @throws CelError when the two have no order. NaN gives NaN. */
export function compare(a: unknown, b: unknown): number {
  const x = numeric(a)
  const y = numeric(b)
  if (x !== undefined && y !== undefined)
    return x < y ? -1 : x > y ? 1 : Number.isNaN(x) || Number.isNaN(y) ? Number.NaN : 0
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b)
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b)
  if (a instanceof Uint8Array && b instanceof Uint8Array) return compareBytes(a, b)
  if ((a instanceof Timestamp && b instanceof Timestamp) || (a instanceof Duration && b instanceof Duration)) {
    return a.ns < b.ns ? -1 : a.ns > b.ns ? 1 : 0
  }
  throw noSuchOverload()
}

/** By code point, as UTF-8 sorts. */
function compareText(a: string, b: string): number {
  if (a === b) return 0
  return compareBytes(utf8(a), utf8(b))
}

/** Characters of a string are code points. */
export function lengthOf(text: string): number {
  let length = text.length
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code >= 0xd800 && code < 0xdc00) {
      length--
      i++
    }
  }
  return length
}

/** `size()` for the cost of an operation; 1 for what has no size. */
export function costSize(value: unknown): number {
  if (typeof value === 'string') return lengthOf(value)
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length
  if (value instanceof CelMap) return value.size
  if (value instanceof Optional && value.present) return costSize(value.value)
  if (value instanceof CelObject) return value.costSize
  return 1
}
