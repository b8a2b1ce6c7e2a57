// How functions are declared: `declare('contains', 'contains_string', 'string.(string) bool', impl)`. One function has
// overloads; the checker picks by static types, the evaluator by the values.

import type { Type } from './types.ts'
import * as types from './types.ts'
import { CelMap, CelObject, Duration, Optional, Timestamp, TypeValue, Uint } from './values.ts'

export interface Overload {
  fn: string
  id: string
  member: boolean
  /** The target of a member comes first. */
  args: Type[]
  result: Type
  /** The signature says what the arguments are. */
  run: (...args: any[]) => unknown
  /** The function itself says what it does with values of other types. */
  unguarded?: boolean
}

export type Library = Overload[]

const named: Record<string, Type> = {
  dyn: types.dynType,
  null: types.nullType,
  bool: types.boolType,
  int: types.intType,
  uint: types.uintType,
  double: types.doubleType,
  string: types.stringType,
  bytes: types.bytesType,
  timestamp: types.timestampType,
  duration: types.durationType,
  type: types.typeType,
  A: types.paramType('A'),
  B: types.paramType('B'),
  V: types.paramType('V'),
  K: types.paramType('K'),
}

/** Types by the names that signatures use; libraries add theirs. */
export function nameType(name: string, type: Type): Type {
  named[name] = type
  return type
}

export function declare(fn: string, id: string, signature: string, run: Overload['run']): Overload {
  const reader = { text: signature, pos: 0 }
  const member = !signature.startsWith('(')
  const args: Type[] = []
  if (member) {
    args.push(readType(reader))
    expect(reader, '.')
  }
  expect(reader, '(')
  while (reader.text[reader.pos] !== ')') {
    args.push(readType(reader))
    if (reader.text[reader.pos] === ',') reader.pos += 2
  }
  expect(reader, ')')
  expect(reader, ' ')
  return { fn, id, member, args, result: readType(reader), run }
}

interface Reader {
  text: string
  pos: number
}

function expect(reader: Reader, text: string): void {
  if (reader.text[reader.pos++] !== text)
    throw new Error(`signature ${reader.text}: expected "${text}" at ${reader.pos}`)
}

function readType(reader: Reader): Type {
  const name = /^\w+/.exec(reader.text.slice(reader.pos))?.[0] ?? ''
  reader.pos += name.length
  if (reader.text[reader.pos] === '(' && ['list', 'map', 'optional'].includes(name)) {
    expect(reader, '(')
    const first = readType(reader)
    let second: Type | undefined
    if (name === 'map') {
      reader.pos += 2
      second = readType(reader)
    }
    expect(reader, ')')
    return name === 'list' ? types.listOf(first) : second ? types.mapOf(first, second) : types.optionalOf(first)
  }
  const type = named[name]
  if (!type) throw new Error(`signature ${reader.text}: no type "${name}"`)
  return type
}

/** Whether a value can be an argument of that type: decides between overloads at run time. */
export function accepts(type: Type, value: unknown): boolean {
  switch (type.kind) {
    case 'dyn':
    case 'param':
      return true
    case 'int':
      return typeof value === 'bigint'
    case 'double':
      return typeof value === 'number'
    case 'string':
      return typeof value === 'string'
    case 'bool':
      return typeof value === 'boolean'
    case 'list':
      return Array.isArray(value) && (value.length === 0 || accepts(type.params[0]!, value[0]))
    case 'map':
      return value instanceof CelMap
    case 'bytes':
      return value instanceof Uint8Array
    case 'uint':
      return value instanceof Uint
    case 'timestamp':
      return value instanceof Timestamp
    case 'duration':
      return value instanceof Duration
    case 'optional':
      return value instanceof Optional
    case 'type':
      return value instanceof TypeValue
    case 'null':
      return value === null
    case 'struct':
    case 'opaque':
      return (
        (value instanceof CelObject && value.type.name === type.name) ||
        (value instanceof CelMap && value.typeName === type.name)
      )
    default:
      return false
  }
}
